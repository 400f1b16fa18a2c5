"""The rows of the table in miniature: `{model}_{supervision}.py`, run by `pipelines.table`."""
