# k8slab: `make lab` opens the lab in a browser, `make test` proves it.
# Needs Python 3.11 or newer, make and git; everything else goes into .venv and the user's cache.

PYTHON ?=
BIN := .venv/bin
INSTALLED := .venv/.installed

.DEFAULT_GOAL := help
.PHONY: help setup components lab demo test lint format bench lock clean

help: ## what can be made
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1|/' | column -t -s '|'

setup: $(INSTALLED) ## the environment in .venv and the programs that a lab wants here; starts nothing
	@$(BIN)/python -m k8slab.cluster.wanted

$(INSTALLED): requirements.lock pyproject.toml
	@PYTHON='$(PYTHON)' sh ./environment.sh
	@touch $@

components: $(INSTALLED) ## the programs of the embedded control plane
	@$(BIN)/python -m k8slab.cluster.components

lab: setup ## JupyterLab with the notebooks
	@$(BIN)/k8slab lab

demo: setup ## the story of the first lesson in a terminal; writes demo-out/
	@$(BIN)/k8slab demo --out demo-out

test: $(INSTALLED) components lint ## lint and every tier of tests that can run here
	@$(BIN)/python -m tests.lanes

lint: $(INSTALLED) ## ruff, mypy and the import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

format: $(INSTALLED) ## put the sources into their one form
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .
	@$(BIN)/nbstripout notebooks/*.ipynb

bench: $(INSTALLED) components ## measure, and print the performance table as JSON and text
	@$(BIN)/python -m benchmarks.run

lock: $(INSTALLED) ## resolve the dependencies again and write requirements.lock
	@$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
	    --no-annotate --no-header --no-emit-index-url --extra dev pyproject.toml --output-file requirements.lock

clean: ## remove the environment and what tests and demo wrote; the user's cache stays
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis demo-out test-artifacts
	rm -rf benchmarks/results
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
