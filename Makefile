# The README's two commands are `make audit` and `make test`. Both make .venv first.
PYTHON ?= python3
BIN := .venv/bin
FAST := $(BIN)/pytest -m "not slow and not proof" -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: audit test coverage test-slow proof lint format schema clean

audit: .venv/installed
	$(BIN)/ganguard audit digits

test: .venv/installed-dev
	$(FAST)

# The same with a count of the lines and branches that ran, which takes twice as long.
coverage: .venv/installed-dev
	$(FAST) --cov=ganguard --cov-report=term:skip-covered

# Proofs take too long for CI: run them after a change of what they prove, and sum up their log in docs/.
proof: .venv/installed-dev
	$(BIN)/pytest -m proof -s

test-slow: .venv/installed-dev
	$(BIN)/pytest -m slow -n 2 --dist loadscope --durations=5

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

format: .venv/installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

schema: .venv/installed
	$(BIN)/python -c "from pathlib import Path; from ganguard.results.records import write_schema; write_schema(Path('docs/results.schema.json'))"
	$(BIN)/python -c "from pathlib import Path; from ganguard.results.measured import write_measured_schema; write_measured_schema(Path('docs/measure.schema.json'))"

.venv/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "ganguard needs Python 3.11 or newer; set PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv .venv
	@touch $@

# torch first and by its exact version: a CPU build where one is found, and no later install replaces it.
.venv/installed: pyproject.toml constraints.txt | .venv/python
	$(BIN)/pip install --quiet "$$(grep '^torch==' constraints.txt)"
	$(BIN)/pip install --quiet --constraint constraints.txt --editable .
	@touch $@

# Two packages that tests compare with come alone: one asks for torchvision, which does not import beside a CPU build of torch,
# the other for an OpenCV with windows.
.venv/installed-dev: .venv/installed
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	$(BIN)/pip install --quiet --constraint constraints.txt --no-deps pypiqe torch-fidelity
	@touch $@

clean:
	rm -rf .venv build dist src/*.egg-info .coverage .pytest_cache .ruff_cache .import_linter_cache
