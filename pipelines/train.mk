# Training on the simulated world: FCOS-MO and the three Mask R-CNN* rows of the paper's table.
# `make train-fcosmo TRAIN="train.loop.max_steps=300 optimizer.lr=0.002"`; RESUME=1 goes on after a stop.

WORLD ?= data/world
WORLD_ALPS ?= data/alps_world
RUNS ?= runs
TRAIN ?=
RESUME ?=
CONFIGS := trainer/configs
TRAIN_DATA = data.world=$(WORLD) data.alps=$(WORLD_ALPS)
TRAIN_CMD = $(PY) -W ignore -m trainer.train $(if $(RESUME),--resume)

.PHONY: train-fcosmo train-maskrcnn-ov train-maskrcnn-alp train-maskrcnn-box
train-fcosmo: $(VENV)/.train $(WORLD_ALPS)/_alps/manifest.json ## Train FCOS-MO on masks and ALPs of the simulated world, evaluate, draw pictures (TRAIN="key=value", RESUME=1)
train-maskrcnn-ov: $(VENV)/.train $(WORLD)/split.json ## Train open-vocabulary Mask R-CNN* (masks only)
train-maskrcnn-alp: $(VENV)/.train $(WORLD_ALPS)/_alps/manifest.json ## Train Mask R-CNN* on masks and ALPs
train-maskrcnn-box: $(VENV)/.train $(WORLD)/split.json ## Train Mask R-CNN* on masks and true boxes (the oracle)

train-fcosmo train-maskrcnn-ov train-maskrcnn-alp train-maskrcnn-box: train-%:
	@$(TRAIN_CMD) --config-file $(CONFIGS)/$(subst -,_,$*)_tiny_world.py \
	    train.output_dir=$(RUNS)/$(subst -,_,$*)_tiny_world $(TRAIN_DATA) $(TRAIN)

$(WORLD_ALPS)/_alps/manifest.json: $(WORLD)/narratives_train.jsonl
	@$(ALPS) build $< --out $(WORLD_ALPS) --split train
