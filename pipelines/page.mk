# A page to look at ALPs with: `make page`, or of your own: make page OUT=data/mine IMAGES=photos NARRATIVES=mine.jsonl

PAGE ?= data/page.html

.PHONY: page page-picture
page: $(VENV)/.alps ## Make a page to look at ALPs with, one HTML file (PAGE=data/page.html, OUT=, IMAGES=, NARRATIVES=, ARGS=)
	@[ -f $(OUT)/_alps/manifest.json ] || $(MAKE) --no-print-directory alps
	@$(ALPS) show $(OUT) --images $(or $(IMAGES),data/sample/world) \
	    $(addprefix --narratives ,$(or $(NARRATIVES),$(SAMPLE))) --out $(PAGE) $(ARGS)

page-picture: $(VENV)/.dev ## Picture: the page of simulated narratives in a browser (needs Chromium)
	@$(PY) -m pipelines.page_picture --out docs/images/page.png
