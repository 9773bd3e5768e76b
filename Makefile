# The two commands a newcomer needs are `make demo` and `make test`.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin

.PHONY: install demo test test-fast test-proconnect bench-audits bench-desk rehearse lint types format requirements
.DEFAULT_GOAL := demo

# The environment, rebuilt only when the requirements change.
install: .venv/.installed

.venv/.installed: requirements-tools.txt requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or later is needed; set PYTHON=python3.x"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-tools.txt
	$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements-tools.txt requirements-dev.txt
	@touch $@

demo: install
	@exec $(BIN)/python manage.py demo

test: lint types test-all

test-all: install
	$(BIN)/python -m tests.run

test-fast: install
	$(BIN)/python -m tests.run --fast

# The ProConnect matrix alone, as a table. VANILLA=1: the library as shipped; RECORD=1: write it in the documentation.
test-proconnect: install
	$(BIN)/python -m tests.proconnect.matrix $(if $(VANILLA),--vanilla) $(if $(RECORD),--record)

# The audit engine beside its peers, on zones served by Knot (apt install knot dnsperf). ZONES=2000: a short run.
bench-audits: install
	$(BIN)/python -m tests.benchmarks.audits

# The operators' pages with 35,000 dossiers and 400,000 events; DOSSIERS=3500 for a short run. Last line: JSON.
bench-desk: install
	@$(BIN)/python -m tests.benchmarks.desk

# The country onboarded by the real engine, faults injected, on servers of its own: COMMUNES=31615 for all.
rehearse: install
	@$(BIN)/python manage.py rehearse --communes $(or $(COMMUNES),1000) --workers $(or $(WORKERS),2) --faults $(or $(FAULTS),0.05) --seed $(or $(SEED),1) --json

lint: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/djlint --quiet --check --lint templates
	$(BIN)/lint-imports --no-cache
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/python -m tests.deploy_check

types: install
	$(BIN)/mypy

format: install
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/djlint --quiet --reformat templates

# Compiled with hashes, free of host names; run after a change of pyproject.toml.
requirements: .venv/bin/uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header pyproject.toml -o requirements.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header pyproject.toml --group demo --group dev -o requirements-dev.txt
	echo uv | $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header - -o requirements-tools.txt
