# Forced word times: the environment for it, the figures of docs/align.md, and what they do to boxes.

SHARED_DATA ?= ../shared/data
VIDLN ?= $(SHARED_DATA)/vidln
ALIGNED ?= data/aligned
REAL_RECORDINGS = $(wildcard $(VIDLN)/recordings)

.PHONY: record-env align align-figures
record-env: $(VENV)/.record ## Install what `alps align` and `alps record` need (PyAV, pocketsphinx)

align: $(VENV)/.record ## Align the real recordings (VIDLN=), audit boxes from published and from forced times (ALIGNED=, WORKERS=)
	@$(if $(REAL_RECORDINGS),,echo "error: no $(VIDLN)/recordings: give VIDLN=, a folder with recordings, ovis_in_ln_format.jsonl and gold_boxes.csv" >&2; exit 2)
	@mkdir -p $(ALIGNED)
	@$(ALPS) align $(VIDLN)/ovis_in_ln_format.jsonl --recordings $(VIDLN)/recordings \
	    --out $(ALIGNED)/forced.jsonl $(if $(WORKERS),--workers $(WORKERS)) $(ARGS)
	@$(PY) -m pipelines.align_boxes $(VIDLN)/ovis_in_ln_format.jsonl $(ALIGNED)/forced.jsonl \
	    --gold $(VIDLN)/gold_boxes.csv --out $(ALIGNED)

align-figures: $(VENV)/.record ## Measure starts, fit, pronunciations and speed on the real recordings: docs/align.md's figures (JSON=)
	@$(if $(REAL_RECORDINGS),,echo "error: no $(VIDLN)/recordings: give VIDLN=" >&2; exit 2)
	@$(PY) -m pipelines.align_figures $(VIDLN)/OVIS_train_sample.jsonl --recordings $(VIDLN)/recordings \
	    $(if $(JSON),--json $(JSON)) $(ARGS)
