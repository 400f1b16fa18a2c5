# Does training keep its memory and its file handles? make soak-train [MINUTES=30] [JSON=file]

MINUTES ?= 30

.PHONY: soak-train
soak-train: $(VENV)/.dev $(VENV)/.train $(WORLD_ALPS)/_alps/manifest.json ## Train for MINUTES=30 with checkpoints and evaluations; fails if memory or file handles grow
	@$(PY) -m pipelines.soak_train --world $(WORLD) --alps $(WORLD_ALPS) --minutes $(MINUTES) \
	    $(if $(JSON),--json "$(JSON)") $(ARGS)
