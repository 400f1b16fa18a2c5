# The paper's table in miniature, on a simulated world; docs/table.md says what it means.
# `make table PRESET=gpu`, `make table TABLE="--seeds 5"`; a stopped one goes on where it was.

PRESET ?= cpu
TABLE ?=

.PHONY: table table-quick
table: $(VENV)/.train ## The paper's table in miniature, 3 seeds: results/table.{md,json,png}; about 4 hours on two cores (PRESET=cpu|gpu, TABLE="--seeds 5")
	@$(PY) -W ignore -m pipelines.table --preset $(PRESET) --out results/table $(TABLE)

table-quick: $(VENV)/.train ## The same with one short run of each row: results/table-quick.*; under 20 minutes on two cores
	@$(PY) -W ignore -m pipelines.table --preset $(PRESET) --quick --out results/table-quick $(TABLE)
