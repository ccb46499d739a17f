# `make run` and `make test` do all the set-up; a second one finds it done.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run test lint docs clean

# `exec`, so that what stops make stops the stack, in its own good order.
run: $(VENV)/.installed-run
	@exec $(BIN)/ingest-assets dev

test: lint
	@exec $(BIN)/pytest

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

# What is made of the code in README.md and docs/; a test compares.
docs: $(VENV)/.installed-dev
	$(BIN)/python -m ingest_assets_tests.support.docs

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis

# uv is several times as fast as pip; where it cannot be had or fails, pip does the same. It takes the
# system's certificates, as pip does: a company's proxy has one of its own.
define install
	@$(BIN)/uv --version >/dev/null 2>&1 || $(BIN)/pip install --quiet uv || true
	@echo "Installing $(1) into $(VENV) …"
	@UV_SYSTEM_CERTS=1 VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip install --quiet --editable "$(1)" \
		|| $(BIN)/pip install --quiet --editable "$(1)"
	@touch $@
endef

$(VENV)/.installed-run: setup.py $(VENV)/.created
	$(call install,.)

$(VENV)/.installed-dev: setup.py $(VENV)/.created
	$(call install,.[dev])
	@touch $(VENV)/.installed-run

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
		echo "ingest_assets needs Python 3.10 or newer, but \"$(PYTHON)\" is not; try make PYTHON=python3.12" >&2; \
		exit 1; }
	@$(PYTHON) -m venv --clear $(VENV) || { \
		echo "\"$(PYTHON)\" cannot make a virtual environment; is its module venv installed?" >&2; \
		exit 1; }
	@touch $@
