# Training steps, loader, memory of ALPs, evaluation, each against a named reference:
# make bench-train [DEVICE=cuda] [IMAGES=dir ANNOTATIONS=file] [JSON=file]

DEVICE ?= cpu

.PHONY: bench-train
bench-train: $(VENV)/.train ## Training steps, loader, memory and evaluation against detectron2 and pycocotools (DEVICE=cuda, JSON=file)
	@$(PY) -W ignore -m pipelines.bench_train --device $(DEVICE) \
	    $(if $(IMAGES),--images "$(IMAGES)" --annotations "$(ANNOTATIONS)") $(if $(JSON),--json "$(JSON)") $(ARGS)
