# Needs make and Python 3.11 or later; everything else is installed into .venv.
#   make demo            run the example job            make demo ARGS=--fail
#   make test            run the tests                  make test ARGS="tests/unit -x -n 0"
#   make coverage        run unit tests and documentation, and fail below the coverage that pyproject.toml names
#   make lint            check style, types and layers
#   make check           run what CI runs: .ci/run
#   make fmt             format and mend what can be mended
#   make hooks           check style and layers at each commit, types at each push
#   make lock            write .ci/dev.lock again, with the newest versions that pyproject.toml allows
#   make lowest          run unit tests, golden files and the demo on the oldest versions that pyproject.toml allows
#   make clean           remove .venv and whatever the tools leave behind
# PYTHON names the interpreter to use.

.DELETE_ON_ERROR:
.PHONY: demo test coverage lint lint-style lint-mypy lint-pyright lint-layers check fmt hooks lock lowest clean

BIN := .venv/bin
LOCK := .ci/dev.lock
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint $(LOCK) --editable
LOWEST := build/lowest
COVERED := tests/unit tests/docs
# Each process starts a server of its own. It runs the tests of a file one after the other, because they share what
# the file sets up; one that has nothing left takes over half of what another has ahead.
PARALLEL := --numprocesses auto --dist worksteal
CANDIDATES := $(PYTHON) python3 python3.13 python3.12 python3.11 python3.14 python

demo: .venv/demo.stamp
	$(BIN)/python -m coremachine demo $(ARGS)

test: .venv/dev.stamp
	$(BIN)/python -m pytest $(PARALLEL) $(ARGS)

# It measures the processes that the tests start, too. Measuring every test would take CI some minutes more.
coverage: .venv/dev.stamp
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest $(PARALLEL) $(COVERED) $(ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --skip-empty

# Side by side: each type checker uses one core, for a minute or more.
lint:
	@$(MAKE) --no-print-directory --jobs 4 lint-pyright lint-mypy lint-style lint-layers

lint-pyright lint-mypy lint-style lint-layers: .venv/dev.stamp

lint-style:
	$(BIN)/ruff check
	$(BIN)/ruff format --check

lint-mypy:
	$(BIN)/mypy

lint-pyright:
	$(BIN)/pyright --pythonpath $(BIN)/python

lint-layers:
	$(BIN)/lint-imports --no-logo

check:
	@.ci/run

fmt: .venv/dev.stamp
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

hooks: .venv/dev.stamp
	$(BIN)/pre-commit install --hook-type pre-commit --hook-type pre-push

# Where the lock and pyproject.toml disagree, nothing else can be installed.
lock: .venv/pyvenv.cfg
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --all-extras \
	  --annotation-style line --custom-compile-command "make lock" --output-file $(LOCK) pyproject.toml

# The tools for tests are the oldest, too; what pyproject.toml does not name is the newest. The demo gets a server of its own,
# in a folder that an unprivileged server can reach.
lowest: .venv/dev.stamp
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(LOWEST)
	$(BIN)/uv pip compile --quiet --resolution lowest-direct --all-extras --python $(LOWEST)/bin/python \
	  --output-file $(LOWEST)/requirements.txt pyproject.toml
	$(BIN)/uv pip install --quiet --python $(LOWEST)/bin/python --requirement $(LOWEST)/requirements.txt --editable .
	$(LOWEST)/bin/python -m pytest $(PARALLEL) $(or $(ARGS),tests/unit tests/golden)
	data=$$(mktemp -d) && chmod 755 "$$data" && trap 'rm -rf "$$data"' EXIT && \
	  COREMACHINE_DATA_DIR="$$data" $(LOWEST)/bin/python -m coremachine demo --output $(LOWEST)/hillshade.png

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .coverage*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/demo.stamp: pyproject.toml $(LOCK) | .venv/pyvenv.cfg
	@echo "Installing what the demo needs into .venv"
	@$(INSTALL) ".[azure,embedded,demo,diagrams,web]"
	@touch $@

.venv/dev.stamp: pyproject.toml $(LOCK) | .venv/pyvenv.cfg
	@echo "Installing what the tests need into .venv"
	@$(INSTALL) ".[azure,embedded,demo,diagrams,web,otel,dev]"
	@touch $@

# A name on PATH may be a stub that only prints where the real one is, so each candidate is run.
.venv/pyvenv.cfg:
	@for python in $(CANDIDATES); do \
	  "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
	  "$$python" -c 'import ensurepip' 2>/dev/null || { bare="$$python"; continue; }; \
	  echo "Creating .venv with $$python"; \
	  "$$python" -m venv .venv || { rm -rf .venv; exit 1; }; \
	  exit 0; \
	done; \
	if [ -n "$$bare" ]; then \
	  echo "$$bare cannot make a virtual environment: install its venv module (Debian: apt-get install python3-venv)." >&2; \
	else \
	  echo "CoreMachine needs Python 3.11 or later, and none was found. Tried: $(strip $(CANDIDATES))." >&2; \
	  echo "Install one, or name it: make PYTHON=/path/to/python3.12 ..." >&2; \
	fi; \
	exit 1
