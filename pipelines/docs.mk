# The site, the code in its pages, and the pictures it shows.

SITE ?= build/site
DOCS_RUN ?= build/docs-run
DOCS_PAGES = docs/analysts.md docs/how-alps-are-made.md docs/troubleshooting.md
SHARED_DATA ?= ../shared/data
REAL_NARRATIVES = $(wildcard $(SHARED_DATA)/vidln/ovis_in_ln_format.jsonl)
REAL_FRAMES = $(SHARED_DATA)/vidln/frames
# Which narrative of the sample the method is shown on: a plural phrase over several places.
METHOD_INDEX ?= 12

.PHONY: docs docs-update docs-pictures
docs: $(VENV)/.docs ## Build the site into build/site; a warning is an error (SITE=)
	@$(PY) -m sphinx -q -W --keep-going -b html docs $(SITE)
	@echo "$(SITE)/index.html"

docs-update: $(VENV)/.docs ## Run the code of the pages and write what it prints and draws into them
	@$(MAKE) --no-print-directory alps NARRATIVES= SPLITS= OUT=data/alps ARGS= > /dev/null
	@rm -rf $(DOCS_RUN) && mkdir -p $(DOCS_RUN)
	@cp -r data $(DOCS_RUN)/data && echo '["Mug", "Ball", "Dog"]' > $(DOCS_RUN)/classes.json
	@$(PY) -W ignore -m pipelines.doc_blocks $(DOCS_PAGES) --folder $(DOCS_RUN) --update

docs-pictures: $(VENV)/.dev data/sample/narratives.jsonl ## Draw how a narrative becomes ALPs; of real traces too, into runs/, where they lie beside the project
	@$(PY) -m pipelines.method_picture data/sample/narratives.jsonl data/sample/world/train \
	    --index $(METHOD_INDEX) --out docs/images/method.png
	@$(if $(REAL_NARRATIVES),for i in 0 3 6; do $(PY) -m pipelines.method_picture $(REAL_NARRATIVES) $(REAL_FRAMES) \
	    --index $$i --out runs/method_real_$$i.png; done)
