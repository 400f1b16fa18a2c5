# Can the models learn a few images by heart? make overfit [IMAGES=dir ANNOTATIONS=file] [OVERFIT=docs/overfit]
# Eight real images where they are at hand, else eight of the simulated world.

OVERFIT ?= docs/overfit
WORLD ?= data/world
SHARED_DATA ?= ../shared/data
OVERFIT_COCO = $(SHARED_DATA)/coco_tiny
OVERFIT_REAL = $(wildcard $(OVERFIT_COCO)/annotations/instances_train2017.json)

.PHONY: overfit
ifneq ($(strip $(ANNOTATIONS)),)
overfit: OVERFIT_DATA = --annotations "$(ANNOTATIONS)" --images "$(IMAGES)"
else ifneq ($(OVERFIT_REAL),)
overfit: OVERFIT_DATA = --annotations $(OVERFIT_REAL) --images $(OVERFIT_COCO)/train2017
else
overfit: $(WORLD)/split.json
overfit: OVERFIT_DATA = --annotations $(WORLD)/instances_train.json --images $(WORLD)/train
endif
overfit: $(VENV)/.train ## Learn eight images by heart, both models; curve and picture into docs (about 20 minutes)
	@$(PY) -W ignore -m pipelines.overfit $(OVERFIT_DATA) --out $(OVERFIT) $(ARGS)
