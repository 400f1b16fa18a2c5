# A simulated world with known truth, its narrator, and how exact the narrator is.

WORLD ?= data/world
WORLD_TRAIN ?= 2000
WORLD_EVAL ?= 300
WORLD_SEED ?= 0
WORLD_SIZE ?= 256
WORLD_WORKERS ?= $(or $(strip $(WORKERS)),$(shell nproc 2>/dev/null || echo 1))
PROFILE ?= coco
NARRATED = $(foreach split,train val test,$(WORLD)/narratives_$(split).jsonl)
SHARED_DATA ?= ../shared/data
COCO_TINY = $(wildcard $(SHARED_DATA)/coco_tiny/annotations/instances_*2017.json)
VIDLN ?= $(SHARED_DATA)/vidln
GOLD = $(if $(wildcard $(VIDLN)/gold_boxes.csv),--gold $(VIDLN)/ovis_in_ln_format.jsonl $(VIDLN)/gold_boxes.csv)

DRAW_WORLD = $(ALPS) simulate scenes --out $(WORLD) --train $(WORLD_TRAIN) --val $(WORLD_EVAL) \
	--test $(WORLD_EVAL) --seed $(WORLD_SEED) --image-size $(WORLD_SIZE) --workers $(WORLD_WORKERS)
# How the narratives at hand were made, and by which code. Other targets take a world as it is; `make world`
# narrates it anew when these change, and refuses when what is asked of the scenes is not what is there.
NARRATOR = $(PROFILE) $(WORLD_SEED) $(shell cat alp_builder/simulate/*.py | cksum)

.PHONY: world world-scenes calibrate-noise narrator-picture
world: world-scenes $(NARRATED) ## Draw a simulated world and narrate it (WORLD=, WORLD_TRAIN=, WORLD_EVAL=, WORLD_SEED=, WORLD_SIZE=, PROFILE=)

world-scenes: $(VENV)/.alps
	@$(DRAW_WORLD)
	@echo '$(NARRATOR)' | cmp -s - $(WORLD)/.narrator || echo '$(NARRATOR)' > $(WORLD)/.narrator

$(WORLD)/split.json: | $(VENV)/.alps
	@$(DRAW_WORLD)

$(WORLD)/.narrator: | $(WORLD)/split.json
	@echo '$(NARRATOR)' > $@

$(WORLD)/narratives_%.jsonl: $(WORLD)/split.json $(WORLD)/.narrator
	@$(ALPS) simulate narratives --coco $(WORLD)/instances_$*.json --profile $(PROFILE) \
	    --seed $(WORLD_SEED) --workers $(WORLD_WORKERS) --out $@

calibrate-noise: $(WORLD)/split.json ## Measure the narrator's in-box precision against the published figures
	@$(PY) -m pipelines.calibrate_noise $(WORLD)/instances_train.json $(COCO_TINY) $(GOLD) $(ARGS)

narrator-picture: $(NARRATED) $(VENV)/.dev ## Picture: real traces beside simulated ones, and how both move
	@$(ALPS) simulate narratives --coco $(WORLD)/instances_val.json --profile vidln \
	    --out $(WORLD)/vidln_val.jsonl --json > /dev/null
	@$(PY) -m pipelines.narrator_picture --real $(VIDLN)/ovis_in_ln_format.jsonl --frames $(VIDLN)/frames \
	    --simulated vidln $(WORLD)/vidln_val.jsonl $(WORLD)/val \
	    --simulated $(PROFILE) $(WORLD)/narratives_val.jsonl $(WORLD)/val --out runs/narrator.png
