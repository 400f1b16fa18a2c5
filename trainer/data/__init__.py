"""Masks and ALP shards in, batches of one source out, in an order of (seed, step) alone."""
