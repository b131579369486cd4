# Everything a developer does, by name. Each target installs what it needs and does not redo finished work.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest
KUBECTL := .tools/bin/kubectl
CODE := src tests bench examples scripts
STRICT := $(if $(CI),--strict-skips,)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help setup tools demo test check fmt fmt-check lint types imports mirror unit contract golden golden-rewrite \
	integration e2e bench reference lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(VENV)/.skep $(VENV)/.wrk ## Install Skep and its tools into .venv

$(VENV)/.python: scripts/make_venv.sh
	@scripts/make_venv.sh $(PYTHON) $(VENV)
	@touch $@

$(VENV)/.requirements: requirements-dev.txt $(VENV)/.python
	@echo "setup: installing the locked packages"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

$(VENV)/.skep: pyproject.toml $(VENV)/.requirements
	@echo "setup: installing skep (editable)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.wrk: $(VENV)/.skep scripts/system_tools.sh
	@scripts/system_tools.sh wrk || echo "setup: going on without it; only the benchmarks of the data path need it"
	@touch $@

tools: setup $(KUBECTL) ## Get the tools that only the tests need: kubectl, curl
	@scripts/system_tools.sh curl

$(KUBECTL): tests/tools/kubectl/main.go tests/tools/kubectl/go.mod tests/tools/kubectl/go.sum scripts/build_kubectl.sh requirements-go.txt
	@scripts/build_kubectl.sh $(PYTHON) $@

demo: $(VENV)/.skep ## Start the platform with the ride-hailing application under load and show the live table (Ctrl-C ends it)
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python examples/demo.py $(if $(DEMO_SECONDS),--seconds $(DEMO_SECONDS),)

test: setup tools check integration e2e ## Set everything up and run every test

check: fmt-check lint types imports mirror unit contract golden ## What must hold before each commit; no servers needed

fmt: setup ## Format the code and sort its imports
	$(BIN)/ruff check --quiet --select I --fix $(CODE)
	$(BIN)/ruff format $(CODE)

fmt-check: setup ## Check the format
	$(BIN)/ruff format --check $(CODE)

lint: setup ## Check the style
	$(BIN)/ruff check $(CODE)

types: setup ## Check the types (mypy --strict)
	$(BIN)/mypy

imports: setup ## Check which room imports which
	$(BIN)/lint-imports --no-logo

mirror: setup ## Check that every file of the pure core has its own unit test
	$(BIN)/python scripts/mirror.py

unit: setup ## Run the unit tests
	$(PYTEST) $(STRICT) -n 2 tests/unit

contract: setup ## Run the suites that every implementation of an interface passes
	$(PYTEST) $(STRICT) tests/contract

golden: setup ## Compare each stage with its checked-in files
	$(PYTEST) $(STRICT) tests/golden

golden-rewrite: setup ## Rewrite the checked-in files of tests/golden; read the difference before committing
	SKEP_GOLDEN=rewrite $(PYTEST) tests/golden

integration: tools ## Run the tests with real servers: Envoy, kubectl, processes
	$(PYTEST) $(STRICT) tests/integration

e2e: tools ## Run the installed command, the demo and the guides
	$(PYTEST) $(STRICT) tests/e2e

bench: setup ## Run every benchmark; each prints its figures as JSON
	@for file in bench/[a-z]*.py; do name=$$(basename $$file .py); \
		grep -q '__main__' $$file || continue; echo "== bench.$$name"; $(BIN)/python -m bench.$$name; done

reference: setup ## Write docs/reference from the code
	@$(BIN)/python -m scripts.reference

lock: .tools/lock/bin/uv ## Renew the hashed lists of packages from pyproject.toml
	@scripts/lock.sh .tools/lock/bin/uv

.tools/lock/bin/uv:
	@$(PYTHON) -m venv .tools/lock && .tools/lock/bin/python -m pip install --quiet uv

clean: ## Remove everything that was installed or built here
	rm -rf .venv .tools .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist .skep
	find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +
