# How good ALPs are on the simulated world and on real gold boxes, and what follows for the defaults.

# Rules are read before those of world.mk: what they depend on is spelled out here.
WORLD ?= data/world
AUDITED ?= $(WORLD)/alps_val
AUDIT_PROFILES ?= vidln coco open_images
PROFILE ?= coco
SHARED_DATA ?= ../shared/data
VIDLN ?= $(SHARED_DATA)/vidln
# A calibration holds for the noise it was fitted under: one for each profile.
CALIBRATION ?= $(WORLD)/calibration_$(PROFILE).json
GOLD_CALIBRATION = $(WORLD)/calibration_vidln.json
GOLD_CSV = $(wildcard $(VIDLN)/gold_boxes.csv)
GOLD_ALPS = $(WORLD)/alps_gold
BUILD_GOLD = $(ALPS) build $(VIDLN)/ovis_in_ln_format.jsonl --out $(GOLD_ALPS) --split val \
	--boxes calibrated=$(GOLD_CALIBRATION) $(BUILD_FLAGS) > /dev/null
# Extra readings on real gold boxes, where they lie beside the project.
SWEEP_GOLD = $(if $(GOLD_CSV),--gold $(GOLD_CSV) --narratives $(VIDLN)/ovis_in_ln_format.jsonl)

.PHONY: audit audit-gold sweep calibration calibrate-quantization
audit: $(WORLD)/narratives_val.jsonl ## Audit ALPs of the world against its masks; with a CALIBRATION= made, calibrated boxes too
	@$(ALPS) build $(WORLD)/narratives_val.jsonl --out $(AUDITED) --split val $(BUILD_FLAGS) \
	    $(if $(wildcard $(CALIBRATION)),--boxes calibrated=$(CALIBRATION)) > /dev/null
	@$(ALPS) audit $(AUDITED) --coco $(WORLD)/instances_val.json \
	    --truth $(WORLD)/narratives_val.truth.jsonl --classes $(WORLD)/split.json

audit-gold: $(GOLD_CALIBRATION) ## Audit ALPs of real narratives against boxes drawn by people, raw and calibrated (VIDLN=)
	@$(if $(GOLD_CSV),,echo "error: no $(VIDLN)/gold_boxes.csv: give VIDLN=, a folder with gold_boxes.csv and ovis_in_ln_format.jsonl" >&2; exit 2)
	@$(BUILD_GOLD)
	@$(ALPS) audit $(GOLD_ALPS) --gold $(GOLD_CSV)

sweep: $(WORLD)/split.json $(VENV)/.dev ## Turn each choice of the builder on each noise profile: docs/sweep.md, docs/sweep.png
	@mkdir -p docs
	@$(ALPS) audit --sweep --coco $(WORLD)/instances_val.json $(SWEEP_GOLD) --plot docs/sweep.png $(ARGS) \
	    > docs/sweep.md.tmp
	@mv docs/sweep.md.tmp docs/sweep.md

calibration: $(foreach profile,$(AUDIT_PROFILES),$(WORLD)/calibration_$(profile).json) ## Fit calibrated boxes on the base classes of the world, for each noise (AUDIT_PROFILES=)

$(WORLD)/calibration_%.json: $(WORLD)/split.json
	@echo "Calibrated boxes for the noise of $*:"
	@$(ALPS) simulate narratives --coco $(WORLD)/instances_train.json --profile $* --seed $(WORLD_SEED) \
	    --workers $(WORLD_WORKERS) --out $(WORLD)/fit_$*.jsonl --json > /dev/null
	@$(ALPS) build $(WORLD)/fit_$*.jsonl --out $(WORLD)/fit_$* $(BUILD_FLAGS) > /dev/null
	@$(ALPS) calibrate $(WORLD)/fit_$* --truth $(WORLD)/fit_$*.truth.jsonl \
	    --coco $(WORLD)/instances_train.json --classes $(WORLD)/split.json --out $@

calibrate-quantization: $(CALIBRATION) $(if $(GOLD_CSV),$(GOLD_CALIBRATION)) $(WORLD)/narratives_test.jsonl $(VENV)/.dev ## Coverage against area ratio of every box quantization: docs/quantization.md, .png
	@mkdir -p docs
	@$(ALPS) build $(WORLD)/narratives_test.jsonl --out $(WORLD)/alps_test --split test \
	    --boxes calibrated=$(CALIBRATION) $(BUILD_FLAGS) > /dev/null
	@$(if $(GOLD_CSV),$(BUILD_GOLD))
	@$(PY) -m pipelines.calibrate_quantization --alps $(WORLD)/alps_test --coco $(WORLD)/instances_test.json \
	    --truth $(WORLD)/narratives_test.truth.jsonl $(if $(GOLD_CSV),--gold $(GOLD_ALPS) $(GOLD_CSV)) \
	    --plot docs/quantization.png > docs/quantization.md.tmp
	@mv docs/quantization.md.tmp docs/quantization.md
