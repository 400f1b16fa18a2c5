# Narrate images in the browser: `make record IMAGES=photos OUT=narrated`, or try it: `make record-demo`

RECORD_DEMO ?= data/record-demo
RECORD_OUT = $(if $(filter data/alps,$(OUT)),data/narrated,$(OUT))
VOICE = $(wildcard $(VIDLN)/recordings/1_1.webm)

.PHONY: record record-demo bench-record
record: $(VENV)/.record ## Narrate images in the browser (IMAGES=dir, OUT=data/narrated, ARGS='--annotators "Ann, Ben"')
	@[ -n "$(IMAGES)" ] || { echo 'make record: name a folder of images: make record IMAGES=photos' >&2; exit 2; }
	@$(ALPS) record $(IMAGES) --out $(RECORD_OUT) $(ARGS)

# Two simulated scenes; the server stops by itself once both are narrated.
record-demo: $(VENV)/.record ## Narrate two simulated scenes and get ALPs of them (needs a microphone)
	@[ -d $(RECORD_DEMO)/world ] || $(ALPS) simulate scenes --out $(RECORD_DEMO)/world \
	    --train 2 --val 0 --test 0 --image-size 512 > /dev/null
	@$(ALPS) record $(RECORD_DEMO)/world/train --out $(RECORD_DEMO)/narrated --dataset-id simulated_train --until-done $(ARGS)
	@$(ALPS) build $(RECORD_DEMO)/narrated/narratives.jsonl --out $(RECORD_DEMO)/alps
	@$(ALPS) show $(RECORD_DEMO)/alps --images $(RECORD_DEMO)/world --narratives $(RECORD_DEMO)/narrated/narratives.jsonl \
	    --out $(RECORD_DEMO)/page.html

bench-record: $(VENV)/.dev ## Load: 50 annotators at once for five minutes, a kill in the middle (JSON=file, ARGS=)
	@$(PY) -m pipelines.bench_record $(addprefix --recording ,$(VOICE)) $(if $(JSON),--json $(JSON)) $(ARGS)
