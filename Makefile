# `make run` and `make test` do all the set-up; a second one finds it done.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Processes that tests run in, each with a Postgres and an S3 of its own. Tests wait for processes and
# servers at times: on two cores three took 10 minutes where two took 11.5. One that has no more work
# takes over what another has left.
TEST_PROCESSES ?= 3
PYTEST := $(BIN)/pytest -n $(TEST_PROCESSES) --dist worksteal

.PHONY: help run test test-all lint style docs screenshots compiled clean

help: ## List these targets.
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

# `exec`, so that what stops make stops the stack, in its own good order.
run: $(VENV)/.installed-run compiled ## Start everything, Dagit on http://127.0.0.1:3000; Ctrl-C ends it.
	@exec $(BIN)/ingest-assets dev

# Of lint, the tests themselves do what takes long (test_lint.py), beside the others.
test: style compiled ## Lint, and run every test that decides whether a change is good.
	@exec $(PYTEST) -m "not slow"

test-all: style compiled ## The same, and the slow tests.
	@exec $(PYTEST) --hypothesis-profile=many

lint: style ## Style, types, and which module may import which.
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

style: $(VENV)/.installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check

docs: $(VENV)/.installed-dev ## Write what README.md and docs/ have from the code; a test compares.
	$(BIN)/python -m ingest_assets_tests.support.docs

# Under a path that a reader may see: the pictures show it.
screenshots: $(VENV)/.installed-dev compiled ## Make the pictures of README.md and docs/ anew (needs chromium).
	INGEST_SCREENSHOTS=$(CURDIR)/docs $(BIN)/pytest ingest_assets_tests/browser -m slow \
		--basetemp=/tmp/ingest-assets-screenshots

clean: ## Remove what was installed and cached; the data in .ingest stays.
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find ingest_assets ingest_assets_tests -name __pycache__ -exec rm -r {} +

# Where PYTHONDONTWRITEBYTECODE is set, every process compiles anew each module that it finds no
# bytecode of; a start takes twice as long. So bytecode is made here: of the packages when they are
# installed, of this one whenever a file has changed. A third of what packages hold is never imported:
# their tests, the places behind telephone numbers, what mypy and pip run in another form, what Dagster
# brings for its cloud and for new projects. What is no Python in spite of its name (templates) fails, and
# nobody imports that either.
NEVER_IMPORTED := /(tests?|SelfTest|geodata|carrierdata|tzdata|mypyc?|pip|f2py|git|github3|wcwidth|dagster_cloud_cli|dagster_rest_resources|dagster_dg_cli|prompt_toolkit|antlr4|sqlalchemy/testing|numpy/distutils|pydantic/v1)/
COMPILE := $(BIN)/python -m compileall -qq -j 0

compiled: $(VENV)/.created
	@$(BIN)/python -m compileall -q ingest_assets ingest_assets_tests

# uv is several times as fast as pip; where it cannot be had or fails, pip does the same. It takes the
# system's certificates, as pip does: a company's proxy has one of its own.
define install
	@$(BIN)/uv --version >/dev/null 2>&1 || $(BIN)/pip install --quiet uv || true
	@echo "Installing $(1) into $(VENV) …"
	@UV_SYSTEM_CERTS=1 VIRTUAL_ENV=$(CURDIR)/$(VENV) \
		$(BIN)/uv pip install --quiet --editable "$(1)" \
		|| $(BIN)/pip install --quiet --no-compile --editable "$(1)"
	@$(COMPILE) -x '$(NEVER_IMPORTED)' $(VENV)/lib || true
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
