# One verb per line of `make help`. Everything is set up inside this folder and the XDG cache.
SHELL := /bin/bash
UV_VERSION := 0.13.9
UV := .uv/bin/uv
PY := .venv/bin/python
BROKER_TESTS := $(addprefix tests/,containers contract e2e integration invariants)
MEMBERS := schemas producers audit consumers deploy
export UV_NO_PROGRESS := 1
# Bytecode is kept: without it every process compiles all that it imports, seconds at each start.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup lock lint types imports test test-fast test-broker campaign bench demo clean
help: ## Show these verbs
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 14

$(UV):
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "CivicBus needs Python 3.11 or newer as python3; got $$(python3 --version 2>&1)." >&2; exit 1; }
	@python3 -m venv .uv || { echo "python3 -m venv failed: install your system's venv package." >&2; exit 1; }
	@.uv/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

.venv/.synced: requirements.lock $(MEMBERS:%=%/pyproject.toml) | $(UV)
	@echo "setting up .venv from requirements.lock" >&2
	@$(UV) venv --quiet --allow-existing --python python3 .venv
	@$(UV) pip sync --quiet --compile-bytecode --python $(PY) --require-hashes requirements.lock
	@$(UV) pip install --quiet --python $(PY) --no-deps --no-build-isolation $(MEMBERS:%=-e ./%)
	@$(PY) -m civicbus_schemas.stubs
	@touch $@

setup: .venv/.synced ## Everything the other verbs need (locked dependencies, Java parts come at first use)

lock: | $(UV) ## Resolve the dependencies anew into requirements.lock
	$(UV) lock --quiet
	$(UV) export --quiet --no-emit-workspace --all-packages --all-extras --all-groups \
	  --no-header --no-annotate --format requirements-txt --output-file requirements.lock

lint: setup ## Style
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

types: setup ## mypy, strict
	.venv/bin/mypy
	.venv/bin/mypy consumers/examples producers/examples

imports: setup ## The directions of the house
	.venv/bin/lint-imports

test: test-fast test-broker ## The whole suite: fast tier, then the tier on the real servers

test-fast: setup ## The tier without a broker (some minutes)
	.venv/bin/pytest -n auto --dist worksteal --durations 10 -m "not broker and not docker"

test-broker: setup ## The tier on the real servers, which it starts itself; one set for each of two workers
	.venv/bin/pytest $(BROKER_TESTS) -n 2 --dist loadfile --no-loadscope-reorder --durations 25 \
	  -m "broker or docker"

campaign: setup ## 4,600 crashes, 2,000 mutations of evidence, 1,000 clean runs, 5,000 examples of each property; hours
	.venv/bin/pytest -m crash --rounds 100
	.venv/bin/pytest tests/properties --rounds 100

bench: setup ## Measure the ratios; reports, never fails
	$(PY) -m tests.benchmarks

demo: setup ## The main job, told as a story, on the real servers
	.venv/bin/civicbus demo

clean: ## Remove the environment (the state folder stays)
	rm -rf .venv .uv
