# Loader, memory of ALPs, evaluation: make bench-loader [IMAGES=dir ANNOTATIONS=file] [JSON=file]

.PHONY: bench-loader
bench-loader: $(VENV)/.train ## Loader and evaluation against detectron2 and pycocotools
	$(PY) -m pipelines.bench_loader $(if $(IMAGES),--images "$(IMAGES)" --annotations "$(ANNOTATIONS)") \
		$(if $(JSON),--json "$(JSON)")
