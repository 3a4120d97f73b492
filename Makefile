# Everything a developer does here. `make` lists it.
#
#   PYTHON=...            the Python to build .venv with (default: python3.11, else python3)
#   TORCH_INDEX_URL=...   where torch comes from (default: PyTorch's CPU builds; empty: the configured index)

PYTHON ?= $(shell command -v python3.11 || command -v python3 || echo python3.11)
BIN := .venv/bin
STAMP := .venv/.complete
REQUIREMENTS := $(wildcard services/*/requirements.in) tests/requirements.in
DATA ?=
VALUES ?=
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo up test check bench chaos render chart-test clean

help: ## List what can be made
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "%-14s %s\n", $$1, $$2}'

setup: $(STAMP) ## Install everything into .venv
	@echo "Ready: .venv/bin/faultline --help"

$(STAMP): .constraints.txt .ci/venv_setup.py $(REQUIREMENTS)
	@echo "Installing into .venv (a few minutes the first time) ..."
	@$(PYTHON) .ci/venv_setup.py
	@touch $@

demo: $(STAMP) ## From data to honest scores on this machine; DATA=folder takes your own recordings
	@$(BIN)/faultline demo $(if $(DATA),--data "$(DATA)") $(ARGS)

up: $(STAMP) ## Start the whole stack on this machine, until Ctrl-C
	@$(BIN)/faultline up $(ARGS)

test: $(STAMP) ## Run all tests; ARGS="-k word" chooses
	@$(BIN)/python -m pytest -c .pytest.ini -n 2 $(ARGS)

check: $(STAMP) ## Lint, format, types, layers, sizes, requirements
	@.ci/check

bench: $(STAMP) ## Measure speed beside its peers; ARGS="--only path --repeats 3" chooses
	@$(BIN)/python -m tests.bench $(ARGS)

chaos: $(STAMP) ## 500 runs under random kills and outages; ARGS="--seed 7" repeats one
	@CHAOS=long $(BIN)/python -m tests.chaos.campaign $(ARGS)
	@CHAOS=long $(BIN)/python -m pytest -c .pytest.ini tests/chaos

render: $(STAMP) ## Print what the chart installs; VALUES=file.yaml renders with these values
	@$(BIN)/python -m tests.support.chart $(VALUES)

chart-test: $(STAMP) ## Render, validate and judge the chart
	@$(BIN)/python -m pytest -c .pytest.ini -n 2 tests/chart $(ARGS)

clean: ## Remove .venv, the local stack's data and all caches
	@if [ -x $(BIN)/faultline ]; then $(BIN)/faultline down || true; fi
	@rm -rf .venv .faultline .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
	@echo "Removed .venv, .faultline and caches."
