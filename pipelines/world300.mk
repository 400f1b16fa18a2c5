# The 300-class world of emoji, for GPUs: scenes, narratives and ALPs of the train split; docs/world300.md.
# `make world300 WORLD300_TRAIN=160 WORLD300_EVAL=20` is a small one; EMOJI_FONT=FILE where none is installed.

WORLD300 ?= data/world300
WORLD300_ALPS ?= data/alps_world300
WORLD300_TRAIN ?= 20000
WORLD300_EVAL ?= 2000
EMOJI_FONT ?=

.PHONY: world300 world300-classes
world300: $(VENV)/.alps ## Draw a simulated world of 300 emoji classes, narrate it, build its ALPs (WORLD300=, WORLD300_TRAIN=, WORLD300_EVAL=, EMOJI_FONT=)
	@$(ALPS) simulate scenes --shapes emoji --out $(WORLD300) --train $(WORLD300_TRAIN) --val $(WORLD300_EVAL) \
	    --test $(WORLD300_EVAL) --seed $(WORLD_SEED) --image-size $(WORLD_SIZE) --workers $(WORLD_WORKERS) \
	    $(if $(EMOJI_FONT),--emoji-font $(EMOJI_FONT))
	@$(MAKE) --no-print-directory WORLD=$(WORLD300) WORLD_ALPS=$(WORLD300_ALPS) $(WORLD300_ALPS)/_alps/manifest.json

# Names and groups come from the extra `emoji`; --check (ARGS=--check) compares with what is kept.
world300-classes: $(VENV)/.dev ## Choose the 300 classes anew by their rule (EMOJI_FONT=, ARGS=--check)
	@$(PY) -m pipelines.emoji_classes $(if $(EMOJI_FONT),--emoji-font $(EMOJI_FONT)) $(ARGS)

.PHONY: world300-picture
world300-picture: $(VENV)/.alps ## Picture of the 300-class world for the docs (EMOJI_FONT=)
	@$(PY) -m pipelines.world300_picture $(if $(EMOJI_FONT),--emoji-font $(EMOJI_FONT))
