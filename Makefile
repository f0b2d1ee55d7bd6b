# Everything there is to do with this checkout; `make` alone lists it.
VENV := .venv
PYTHON ?= python3.11
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
TESTS ?= tests
PROCESSES ?= 2
GPU_EXTRAS := bm25 dense export gpu openai s3 synth train transformers

# The installation compiles no bytecode; without the cache, every process would compile vLLM, torch and Ray again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(INSTALLED) ## Annotate the sample corpus with a small model on this machine's CPU
	$(BIN)/ner-ray demo

test: $(INSTALLED) ## All tests except the slow ones; some of them: make test TESTS=tests/align
	$(BIN)/pytest -m "not faults and not long" -n $(PROCESSES) --dist loadfile --no-loadscope-reorder $(TESTS)

check: lint types imports docs test ## What CI runs

lint: $(INSTALLED) ## Ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED) ## mypy --strict
	$(BIN)/mypy

imports: $(INSTALLED) ## import-linter: which module may import which
	$(BIN)/lint-imports

docs: $(INSTALLED) ## Build the documentation into build/docs; a warning is an error
	$(BIN)/sphinx-build -W --keep-going -q -b html docs build/docs

faults: $(INSTALLED) ## The long fault suite: kills drivers, actors and nodes
	$(BIN)/pytest -m faults $(TESTS)

long: $(INSTALLED) ## The tests that take long: with a vLLM server, and with mends taken out
	$(BIN)/pytest -m long $(TESTS)

sample: $(INSTALLED) ## Build the sample corpus from its sources
	$(BIN)/python -m ner_ray.sample.build

lock: $(INSTALLED) ## Write this environment's versions to constraints.txt
	$(BIN)/python .ci/lock.py

lock-gpu: ## Resolve constraints-gpu.txt again, for the image (needs uv)
	uv pip compile pyproject.toml $(GPU_EXTRAS:%=--extra %) --python-version 3.11 --python-platform x86_64-manylinux_2_28 \
		--custom-compile-command "make lock-gpu" --no-annotate --output-file constraints-gpu.txt

install: $(INSTALLED) ## Create .venv with everything in it

$(INSTALLED): constraints.txt pyproject.toml .ci/install.sh
	PYTHON=$(PYTHON) .ci/install.sh $(VENV)
	@touch $@

clean: ## Remove everything that can be built again, except .venv
	rm -rf build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find ner_ray tests jobs -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help demo test check lint types imports docs faults long sample lock lock-gpu install clean
