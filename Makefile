# `make demo` and `make test` do all the set-up on a fresh machine; the rest reuses it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
DEMO_OUT ?= runs/demo
DEVICE ?= cpu
WORKERS ?= 2
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup --durations 20

.PHONY: help bench coverage demo docs test test-all test-browser test-oldest lint format types imports wheel clean
.DEFAULT_GOAL := help

help:  ## These lines
	@sed -n 's/^\([a-z-]*\):.*  ## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing torch, geomstats, Pyro, Lightning, matplotlib and what they need into $(VENV): once, some minutes,"
	@echo "1.5 GB on disk with torch's CPU build; its default build on Linux adds some GB of NVIDIA's libraries."
	$(PIP) install --progress-bar off -c constraints.txt -e ".[train]"
	@echo "Installed."
	touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) install --quiet -c constraints.txt -e ".[train,zuko,dev]"
	touch $@ $(VENV)/.demo

$(VENV)/.docs: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) install --quiet -c constraints.txt -e ".[train,zuko,docs]"
	touch $@

$(VENV)/.bench: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) install --quiet -c constraints.txt -e ".[bench]"
	touch $@

demo: $(VENV)/.demo  ## Digits and earthquakes, each from data to a page: runs/demo/report.html, runs/demo/globe/report.html
	$(BIN)/manifoldflow demo --out $(DEMO_OUT)

test: lint types imports  ## Everything that CI checks
	$(PYTEST)

test-all: lint types imports  ## Also the long statistical and training tests
	$(PYTEST) -m "not browser"

coverage: $(VENV)/.dev  ## Lines and branches that the tests reach, file by file
	$(PYTEST) --cov=manifoldflow --cov-branch --cov-report=term

test-browser: $(VENV)/.dev  ## The report page in the system's Chromium (Debian: apt-get install chromium)
	$(PIP) install --quiet -c constraints.txt -e ".[browser]"
	$(BIN)/python -m pytest tests/browser -m browser

test-oldest:  ## The tests with the oldest versions that pyproject.toml allows, in a new environment (5 GB with torch 2.4)
	$(PYTHON) -m venv --clear $(VENV)/oldest
	$(VENV)/oldest/bin/python -m pip --disable-pip-version-check install --quiet -c tests/oldest.txt -e ".[train,zuko]" \
		torchdiffeq tensorboard build "setuptools>=77" pytest pytest-xdist pytest-benchmark hypothesis mpmath
	$(VENV)/oldest/bin/python -m pytest -n $(WORKERS) --dist loadgroup -o filterwarnings=default

docs: $(VENV)/.docs  ## The documentation, its tutorials executed: docs/_build/html/index.html
	$(BIN)/sphinx-build -b html -W --keep-going docs docs/_build/html

bench: $(VENV)/.bench  ## Every comparison with other libraries: writes docs/benchmarks.md (DEVICE=cuda: docs/benchmarks_cuda.md)
	$(BIN)/python -m benchmarks.peers --device $(DEVICE)

lint: $(VENV)/.dev  ## Style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.dev  ## Put style and format right
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/.dev  ## Types
	$(BIN)/mypy

imports: $(VENV)/.dev  ## That imports point one way
	$(BIN)/lint-imports

wheel: $(VENV)/.dev  ## dist/*.whl
	$(BIN)/python -m build --wheel

clean:  ## Remove what was built
	rm -rf build dist docs/_build *.egg-info .pytest_cache .mypy_cache .ruff_cache
