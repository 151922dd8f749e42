# Two targets matter first: `make run` and `make test`. Python 3.11 or newer is all they need.

# The first that runs and is new enough (a version manager may list some that do not run).
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
PORT ?= 8000
BIN := .venv/bin
PY := $(BIN)/python
WORKERS ?= 2

.PHONY: run serve test test-all test-races test-judges test-mutants test-mutants-few test-browser lint check lock messages bench bench-kill bench-payments bench-notices bench-orders bench-audit bench-audit-mutations bench-catalogue bench-cache bench-scale bench-import bench-backoffice clean
.DEFAULT_GOAL := help

help:
	@echo "make run [PORT=8000]   the shop, its jobs and the sandbox, with a demo shop inside"
	@echo "make test              the test suite on SQLite"
	@echo "make test-all          also on MariaDB and PostgreSQL, races, judges, browser"
	@echo "make bench             the long runs: orders a second, the audit of a large shop, kills"
	@echo "make lint              format, lint, types, floors of the house"
	@echo "make serve             the shop alone, as in production"

# A marker a set: installed when its lock file is newer.
.venv/made:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed."; exit 1; }
	$(PYTHON) -m venv .venv
	@touch $@
.venv/%.installed: requirements/%.txt .venv/made
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

run: .venv/base.installed
	@DEBUG=$${DEBUG:-1} $(PY) manage.py run_demo --port $(PORT)

serve: .venv/production.installed
	$(PY) manage.py collectstatic --noinput -v0
	WORKERS=$(WORKERS) $(PY) manage.py run_server --port $(PORT)

test: .venv/dev.installed
	$(BIN)/pytest -n auto -q

MARIADB_URL ?= mysql://root@127.0.0.1:3306/miniback
POSTGRES_URL ?= postgres://root@127.0.0.1:5432/miniback

test-all: .venv/dev.installed .venv/production.installed .venv/browser.installed
	$(BIN)/pytest -n auto -q
	DATABASE_URL=$(MARIADB_URL) $(BIN)/pytest -n auto -q
	DATABASE_URL=$(POSTGRES_URL) $(BIN)/pytest -n auto -q
	$(MAKE) test-mutants-few test-races test-judges test-browser

test-races: .venv/dev.installed .venv/production.installed
	$(BIN)/pytest -q -m races tests/races
	DATABASE_URL=$(MARIADB_URL) $(BIN)/pytest -q -m races tests/races
	DATABASE_URL=$(POSTGRES_URL) $(BIN)/pytest -q -m races tests/races

test-judges: .venv/dev.installed
	$(BIN)/pytest -q -m judges

test-mutants: .venv/dev.installed
	$(PY) -m tests.mutants

test-mutants-few: .venv/dev.installed
	$(PY) -m tests.mutants --few

test-browser: .venv/browser.installed
	$(BIN)/pytest -q -n 2 --dist loadfile -m browser tests/browser

bench: bench-catalogue bench-cache bench-scale bench-orders bench-audit bench-audit-mutations bench-kill bench-payments bench-notices bench-import bench-backoffice

# Long runs, each printing its figures. DATABASE_URL picks the database; SQLite is the default.
ORDERS ?= 3000
SEED ?= 1
bench-kill: .venv/dev.installed .venv/production.installed
	$(PY) -m bench.kill --orders $(ORDERS) --seed $(SEED)

PAYMENTS ?= 10000
bench-payments: .venv/dev.installed .venv/production.installed
	$(PY) -m bench.payments --payments $(PAYMENTS) --seed $(SEED)

bench-notices: .venv/dev.installed .venv/production.installed
	$(PY) -m bench.notices

bench-orders: .venv/dev.installed .venv/production.installed
	$(PY) -m bench.orders
	DATABASE_URL=$(MARIADB_URL) $(PY) -m bench.orders

# wrk must be there (Debian: apt-get install wrk).
bench-catalogue: .venv/dev.installed .venv/production.installed
	$(PY) -m bench.catalogue
	DATABASE_URL=$(MARIADB_URL) $(PY) -m bench.catalogue

bench-cache: .venv/dev.installed .venv/production.installed
	$(PY) -m bench.cache

PRODUCTS ?= 200000
bench-scale: .venv/dev.installed .venv/production.installed
	$(PY) -m bench.scale --products $(PRODUCTS)

bench-backoffice: .venv/dev.installed .venv/production.installed
	$(PY) -m bench.backoffice

bench-import: .venv/dev.installed .venv/production.installed
	$(PY) -m bench.imports

bench-audit: ORDERS = 1000000
bench-audit: .venv/dev.installed .venv/production.installed
	$(PY) -m bench.audit --orders $(ORDERS)

bench-audit-mutations: .venv/dev.installed .venv/production.installed
	$(PY) -m bench.audit_mutations

lint: .venv/dev.installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy .
	$(BIN)/lint-imports --no-cache

check: lint test

LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"
lock: .venv/dev.installed
	for set in base production dev browser; do \
	  $(LOCK) --upgrade requirements/$$set.in -o requirements/$$set.txt || exit 1; done

# Needs gettext. The compiled files are committed: a fresh machine has no msgfmt.
messages:
	$(PY) manage.py makemessages -l zh_Hans --no-location --ignore .venv --ignore var
	$(PY) manage.py compilemessages -l zh_Hans -v0 --ignore .venv

clean:
	rm -rf .venv var staticfiles
