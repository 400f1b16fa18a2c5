# Data cards, generated from shards and checked against them. The one in the repository is of the simulated sample.

CARDS ?= data/alps
CARD_CLASSES ?= trainer/evaluation/class_splits.json
# `make alps` leaves its shards in data/alps; its card is called after what they are.
card_name = $(if $(filter data/alps,$(patsubst %/,%,$(1))),simulated-sample,$(notdir $(patsubst %/,%,$(1))))
card_published = $(if $(filter data/alps,$(patsubst %/,%,$(1))),--published 2026-11-22)

.PHONY: cards check-cards
cards: $(VENV)/.dev ## Write data cards with Croissant from shards: of the sample, or CARDS="data/official/coco_val ..."; ARGS="--published 2026-11-22"
	@set -e; $(if $(filter data/alps,$(CARDS)),$(MAKE) --no-print-directory alps NARRATIVES= SPLITS= OUT=data/alps ARGS= > /dev/null;) \
	$(foreach dir,$(CARDS),$(ALPS) card $(dir) --out data_cards/$(call card_name,$(dir)) \
	    --name alps-$(call card_name,$(dir)) --classes $(CARD_CLASSES) $(call card_published,$(dir)) $(ARGS);)

check-cards: $(VENV)/.alps ## Fail where a data card no longer agrees with its shards (CARDS=)
	@set -e; $(foreach dir,$(CARDS),$(ALPS) card $(dir) --out data_cards/$(call card_name,$(dir)) --check;)
