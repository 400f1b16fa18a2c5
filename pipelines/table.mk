# The paper's table in miniature, on a simulated world; docs/table.md says what it means.
# `make table PRESET=gpu`, `make table TABLE="--seeds 5"`; a stopped one goes on where it was.

PRESET ?= cpu
TABLE ?=

.PHONY: table table-quick
table: $(VENV)/.train ## The paper's table in miniature, 3 seeds: results/table.{md,json,png}; two hours on two cores (PRESET=cpu|gpu, TABLE="--seeds 5", TABLE=--report for what is done so far)
	@$(PY) -W ignore -m pipelines.table --preset $(PRESET) --out results/table $(TABLE)

table-quick: $(VENV)/.train ## The same with one short run of each row: results/table-quick.*; half the steps, one seed, 18 minutes on two cores
	@$(PY) -W ignore -m pipelines.table --preset $(PRESET) --quick --out results/table-quick $(TABLE)

FACTORS ?=
.PHONY: ablations studies
ablations: $(VENV)/.train ## One factor at a time round FCOS-MO with ALPs: results/ablations.* (FACTORS="box_loss noise", TABLE="--seeds 1 --steps 1000", TABLE=--report)
	@$(PY) -W ignore -m pipelines.table.ablations --preset $(PRESET) \
	    $(if $(FACTORS),--factors $(FACTORS)) $(TABLE)

studies: $(VENV)/.train ## What the table's detectors owe to single choices, on the val split: results/studies.* (FACTORS="points rate")
	@$(PY) -W ignore -m pipelines.table.ablations --preset $(PRESET) --collection studies \
	    $(if $(FACTORS),--factors $(FACTORS)) $(TABLE)

# Pictures need a run of the table: of the quick one with QUALITATIVE_RUN=runs/table-quick/fcosmo_alps/seed0.
QUALITATIVE_RUN ?= runs/table/fcosmo_alps/seed0
.PHONY: qualitative
qualitative: $(VENV)/.train ## Pictures of the table's FCOS-MO, picked by rule from the test split: results/qualitative.png (QUALITATIVE_RUN=)
	@$(PY) -W ignore -m pipelines.table.qualitative --run $(QUALITATIVE_RUN) --out results/qualitative.png
