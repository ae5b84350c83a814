# make demo: from nothing to a trained, validated model. make test: everything CI checks.
# Both create or reuse .venv and need Python 3.11 to 3.13, nothing else; the demo installs only what it needs.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEMO_STAMP := $(VENV)/.installed-demo

# Some images switch off that Python keeps compiled modules. Then each process of the tests compiles torch again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install demo test check format lint types types-elsewhere quick test-all torture coverage bench docs clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

# Without compiled copies of all modules: Python compiles those that it imports.
PIP_INSTALL := $(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check -c constraints.txt

define install
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing torch: about 200 MB"
	@$(PIP_INSTALL) torch
	@echo "Installing goemo[$(1)] and the packages that it needs"
	@$(PIP_INSTALL) -e '.[$(1)]'
endef

install: $(STAMP) ## create .venv with everything for working on goemo

$(STAMP): pyproject.toml constraints.txt
	$(call install,dev)
	touch $@ $(DEMO_STAMP)

$(DEMO_STAMP): pyproject.toml constraints.txt
	$(call install,offline)
	touch $@

demo: $(DEMO_STAMP) ## train, draw, report and validate the quickstart model, offline
	$(BIN)/goemo train --config configs/quickstart.yaml --no-wandb
	$(BIN)/goemo figures
	$(BIN)/goemo report
	$(BIN)/goemo validate
	@echo
	@echo "Look at:    output/report/report.html   output/figures/   artifacts/models/minilm/   artifacts/predictions/"
	@echo "Type next:  . $(BIN)/activate"
	@echo "            goemo data download && goemo train      the real data, minutes on two cores"
	@echo "            goemo train --help"

test: check quick ## lint, prose check, types, quick tests

check: lint types

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/python docs/check_prose.py

types: $(STAMP)
	$(BIN)/mypy

types-elsewhere: $(STAMP) ## types as on Windows and macOS: an error names what they do not have
	$(BIN)/mypy --platform win32 --cache-dir .mypy_cache/win32 goemo_cli
	$(BIN)/mypy --platform darwin --cache-dir .mypy_cache/darwin goemo_cli

quick: $(STAMP)
	$(BIN)/pytest -n 2 --dist loadfile

test-all: $(STAMP) ## the quick tests and those that really train
	$(BIN)/pytest -n 2 --dist loadfile
	$(BIN)/pytest -m slow

torture: $(STAMP) ## kill trainings and let system calls fail; every trial must be survived
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.torture
	GOEMO_FUZZ_EXAMPLES=2000 $(BIN)/pytest -q tests/torture/test_fuzz.py

bench: $(STAMP) ## run the benchmarks and write docs/performance.md; BENCH="--quick", BENCH="startup growth"
	$(BIN)/python -m benchmarks $(BENCH)

coverage: $(STAMP) ## run the quick tests and print the line coverage of goemo_cli; below 95 % is an error
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n 2 --dist loadfile -q
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

format: $(STAMP) ## format and sort
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(STAMP) ## write the generated reference pages and build the site into build/site; a broken link is an error
	$(BIN)/python docs/generate.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet -f docs/site/mkdocs.yml
	@echo "Look at:    $(BIN)/python -m http.server -d build/site"

clean: ## remove .venv and caches; artifacts/ and output/ stay
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache build dist
