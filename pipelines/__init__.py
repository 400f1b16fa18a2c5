"""Recipes that wire the builder and the trainer: make targets, the table, benchmarks."""
