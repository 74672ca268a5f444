# Each target sets up the virtual environment (.venv) if it is not there. `make help` lists them.

CONFIG ?= pipelines/tiny/mix.yaml
TRAIN_CONFIG ?= pipelines/tiny/train.yaml
ENGINE ?= ray
ARGS ?=
PYTHON ?= python3
# The trainer runs with any newer torch too; this one has a CPU build, the newest ones bring CUDA.
TORCH ?= torch==2.13.0

BIN := .venv/bin
STAGES := crawl extract filter dedup decontaminate tokenize mix
SOURCES := corpus tests benchmarks

.DEFAULT_GOAL := help
.PHONY: help install $(STAGES) build plan report train test check lint format docs bench fuzz distclean

help: ## Say what can be made
	@awk -F ':.*## ' '/^[a-z$$()A-Z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  make STAGE          Build up to a stage: $(STAGES)"
	@echo "  Variables: CONFIG=$(CONFIG) ENGINE=$(ENGINE) ARGS=$(ARGS)"

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --editable .
	@touch $@

.venv/installed-train: .venv/installed
	$(BIN)/pip install --quiet $(TORCH)
	$(BIN)/pip install --quiet --editable '.[train]'
	@touch $@

.venv/installed-dev: .venv/installed-train
	$(BIN)/pip install --quiet --editable '.[train,translation,s3,fast,interop,dev]'
	@touch $@

install: .venv/installed ## Set up the virtual environment

# A stage builds what comes before it. So of several stages among the goals the first one builds up to
# the last one: one start of the program, of its workers and of Ray, and not one for each.
FIRST := $(firstword $(filter $(STAGES),$(MAKECMDGOALS)))
LAST := $(lastword $(filter $(MAKECMDGOALS),$(STAGES)))

$(STAGES): .venv/installed
	$(if $(filter $@,$(FIRST)),$(BIN)/corpus $(LAST) --config $(CONFIG) --engine $(ENGINE) $(ARGS),@:)

build: .venv/installed ## Build the whole corpus of CONFIG
	$(BIN)/corpus build --config $(CONFIG) --engine $(ENGINE) $(ARGS)

plan: .venv/installed ## Print the mixture table of CONFIG
	$(BIN)/corpus plan --config $(CONFIG) $(ARGS)

report: .venv/installed ## Write a page about what was built
	$(BIN)/corpus report --config $(CONFIG) $(ARGS)

train: .venv/installed-train ## Train the model of TRAIN_CONFIG on what was built
	$(BIN)/corpus train --config $(TRAIN_CONFIG) $(ARGS)

test: .venv/installed-dev ## Run the tests
	$(BIN)/pytest $(ARGS)

check: lint test ## Check everything: lint and test

lint: .venv/installed-dev ## Check style, types, the direction of imports, and generated pages
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/generate.py --check

format: .venv/installed-dev ## Format the code and mend what can be mended
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

docs: .venv/installed-dev ## Generate the reference pages
	$(BIN)/python docs/generate.py

FUZZ_SECONDS ?= 60
fuzz: .venv/installed-dev ## Fuzz the readers and parsers, FUZZ_SECONDS for each target
	$(BIN)/python tests/fuzz_targets.py --seconds $(FUZZ_SECONDS)

bench: .venv/installed-dev ## Measure the kernels against their reference libraries
	$(BIN)/python benchmarks/kernels.py
	$(BIN)/python benchmarks/quality.py

distclean: ## Remove the virtual environment and what the tools left; builds stay (corpus clean)
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
