# Benchmarks print ratios against named references in the same run.

BENCH_ROUNDS ?= 10

.PHONY: bench bench-alps
bench: $(VENV)/.dev data/sample/narratives.jsonl ## Run all benchmarks, draw them, compare with results/bench.json (ARGS=--quick: under 15 minutes)
	@$(PY) -m pipelines.bench data/sample/narratives.jsonl $(ARGS)

bench-alps: $(VENV)/.alps data/sample/narratives.jsonl ## Measure speed and memory of the builder (JSON=file writes the figures; the memory of 50,000 narratives takes minutes)
	@$(PY) -m pipelines.bench_alps data/sample/narratives.jsonl --rounds $(BENCH_ROUNDS) $(if $(JSON),--json $(JSON)) $(ARGS)
