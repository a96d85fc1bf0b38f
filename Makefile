# CostHub's commands; `make` alone lists them. Needs make and Python 3.11 or newer with venv, nothing else.

PORT ?= 8000
VENV := .venv
PY := $(VENV)/bin/python
# First those that have a ready-made Redis wheel on Linux; the others need a redis-server or valkey-server on PATH.
PYTHONS := python3.12 python3.11 python3 python3.13 python3.14
BESIDE_SERVERS = $(PY) -m costhub.embedded run
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help run test lint lint-django format bench backup restore faults setup setup-run chromium lock clean

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile

run: setup-run ## The whole product at http://127.0.0.1:8000 with demo data; PORT=9000 for another port, ARGS=--no-demo
	@exec $(PY) manage.py up --port $(PORT) --stop-with-parent $(ARGS)

test: setup chromium ## Every test, in two processes; ARGS="-n0 tests/pricing -k tiers" for some in one
	@$(BESIDE_SERVERS) --no-fsync -- $(PY) -m pytest -n 2 --dist loadgroup --no-loadscope-reorder $(ARGS)

lint: setup ## Style, types, layers, migrations, deployment checks
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	@$(BESIDE_SERVERS) --no-fsync -- $(MAKE) --no-print-directory lint-django

# As in production: no debugging, HTTPS, secrets and servers from the environment.
lint-django: export DEBUG = 0
lint-django: export BASE_URL = https://costhub.example.com
lint-django:
	$(PY) manage.py makemigrations --check --dry-run
	$(PY) manage.py check --deploy --fail-level WARNING

format: setup ## Rewrite the code in our style
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

bench: setup ## Every figure beside its limit (half an hour); ARGS=throughput for one of them
	@$(BESIDE_SERVERS) -- $(PY) -m bench $(ARGS)

backup: setup ## The database into FILE=…, while CostHub runs or not (docs/backup.md)
	@$(PY) manage.py backup "$(FILE)"

restore: setup ## An empty database from FILE=…
	@$(PY) manage.py restore "$(FILE)"

faults: setup ## The long form of the kill -9 tests
	@$(BESIDE_SERVERS) -- $(PY) -m pytest tests/faults --long -s $(ARGS)

setup: $(VENV)/.installed-dev ## The Python environment for working on CostHub

# For `make run` alone: without the tools of tests, and compiled as it is used, which is a third quicker.
setup-run: $(VENV)/.installed-run

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.made
	@echo "Installing the pinned packages for development (a minute, once) …"
	@$(PY) -m pip install -qq --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@ $(VENV)/.installed-run

$(VENV)/.installed-run: requirements.txt $(VENV)/.made
	@echo "Installing the pinned packages (half a minute, once) …"
	@$(PY) -m pip install -qq --disable-pip-version-check --no-compile --require-hashes -r requirements.txt
	@touch $@

$(VENV)/.made:
	@for candidate in $(PYTHONS); do \
	    if "$$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	        echo "Making $(VENV) with $$("$$candidate" --version) …"; \
	        "$$candidate" -m venv --clear $(VENV) && touch $@; exit; \
	    fi; \
	done; \
	echo "CostHub needs Python 3.11 or newer with its venv module (on Debian: apt-get install python3 python3-venv)." >&2; exit 1

chromium: setup
	@PY=$(PY) sh tools/chromium.sh

lock: ## Pin the newest versions that requirements*.in allow (needs the package index)
	@test -x $(VENV)-lock/bin/uv || { python3 -m venv $(VENV)-lock && $(VENV)-lock/bin/pip install --quiet uv; }
	@for part in requirements requirements-dev; do \
	    $(VENV)-lock/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
	        --no-header --no-annotate --no-emit-index-url --no-emit-find-links -o $$part.txt $$part.in || exit 1; \
	done

clean: ## Remove the environment and caches; data in .costhub stays
	rm -rf $(VENV) $(VENV)-lock .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .grimp_cache
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
