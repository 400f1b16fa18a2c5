# Faults, soak and supply chain: what docs/faults.md promises, run anew.

MINUTES ?= 30
SERVICE ?= pypi
SBOM ?= build/sbom
# What looks at the locks is never installed beside what it looks at.
SUPPLY = $(VENV)/supply
LOCKS = $(sort $(wildcard requirements/*.lock))

.PHONY: soak sbom audit-packages lock-supply
soak: $(VENV)/.dev ## Build over and over with constant memory and file handles (MINUTES=30)
	@SOAK_MINUTES=$(MINUTES) $(PY) -m pytest -m faults tests/alp_builder/faults/test_soak.py $(ARGS)

$(SUPPLY)/.ok: requirements/supply.lock | $(PY)
	@echo "Installing what makes SBOMs and audits into $(SUPPLY)"
	@$(PY) -m venv $(SUPPLY)
	@PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 $(SUPPLY)/bin/python -m pip install -qq --no-deps \
	    --only-binary=:all: --require-hashes -r requirements/supply.lock
	@touch $@

sbom: $(SUPPLY)/.ok $(VENV)/.alps ## Write a CycloneDX bill of materials for each lock (SBOM=build/sbom)
	@$(PY) -m pipelines.supply sbom --tool $(SUPPLY)/bin/cyclonedx-py --out $(SBOM) $(LOCKS)

audit-packages: $(SUPPLY)/.ok $(VENV)/.alps ## Look the pinned packages up for known vulnerabilities; needs the network (SERVICE=pypi|osv)
	@$(PY) -m pipelines.supply audit --tool $(SUPPLY)/bin/pip-audit --service $(SERVICE) $(LOCKS)

lock-supply: $(VENV)/.dev ## Pin the tools of sbom and audit-packages anew (ARGS=--upgrade)
	@$(VENV)/bin/uv pip compile --quiet --no-config --universal --python-version 3.11 --generate-hashes \
	    --no-annotate --custom-compile-command "make lock-supply" $(ARGS) requirements/supply.in \
	    -o requirements/supply.lock
