"""ALP shards and masks in, open-vocabulary instance segmentation out."""
