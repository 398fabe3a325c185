# What a newcomer types: `make serve`, `make test`. Both may be repeated; the second time nothing is installed.

PYTHON ?= python3
PORT ?= 8000
VENV := .venv
BIN := $(VENV)/bin

# An environment is as new as its stamp. Stamps are removed before an install and written after it, so that an
# install that failed or was interrupted is done again.
SERVING := $(VENV)/.serving
COMPLETE := $(VENV)/.complete

.DEFAULT_GOAL := help
.PHONY: help serve test sanitize lint format docs clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

serve: $(SERVING) ## start the service with the bundled model on port 8000 (PORT=9000 for another)
	$(BIN)/equipot serve --port $(PORT)

# A process for each core, whose numerics have one thread. The tests of a file share what they make, so that they stay
# in one process.
test: lint ## lint, types, import rules and tests
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses auto --maxprocesses 8 --dist loadfile

sanitize: $(COMPLETE) ## the native kernel's tests on a build with AddressSanitizer and UndefinedBehaviorSanitizer
	PYTHON=$(BIN)/python kernel/sanitize.sh

lint: $(COMPLETE) ## ruff, mypy and import-linter only
	$(BIN)/ruff check --no-cache .
	$(BIN)/ruff format --no-cache --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(COMPLETE) ## let ruff fix and format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(COMPLETE) ## the pages as a site in site/, made without a network
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

clean: ## remove the environment and what the tools have left
	rm -rf $(VENV) build dist site client/dist kernel/build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -type d -name __pycache__ -prune -exec rm -rf {} +

# The native kernel is compiled, where there is a compiler; without it Allegro runs in ONNX Runtime.
KERNEL := kernel/pyproject.toml kernel/CMakeLists.txt $(wildcard kernel/src/* kernel/equipot_kernel/*.py)
define install_kernel
$(BIN)/pip install ./kernel $(1) \
	    || echo 'equipot-kernel could not be compiled (GCC 12 or newer), so that Allegro runs in ONNX Runtime' >&2
endef

$(SERVING): pyproject.toml client/pyproject.toml $(KERNEL) | $(BIN)/pip
	rm -f $(SERVING) $(COMPLETE)
	$(BIN)/pip install --editable client --editable '.[serve,cpu,molecules]'
	$(call install_kernel)
	touch $@

$(COMPLETE): pyproject.toml client/pyproject.toml $(KERNEL) constraints.txt | $(BIN)/pip
	rm -f $(SERVING) $(COMPLETE)
	$(BIN)/pip install --editable client --editable '.[serve,postgres,cpu,train,lmdb,remote,docs,dev]' --constraint constraints.txt
	$(call install_kernel,--constraint constraints.txt)
	touch $(SERVING) $@

$(BIN)/pip:
	$(PYTHON) -m venv $(VENV)
