# make run    the server, with its built-in broker          make check  ruff and mypy
# make test   the whole test suite                          make bench  the benchmarks
VENV := .venv
PYTHON ?= python3
BIN := $(VENV)/bin
# An environment is for one Python in one place: after an upgrade of the system (Debian 12 to 13), or a move, it is made again.
WHOLE := $(shell $(BIN)/pip --version 2>/dev/null)
# What is started again and again is compiled once, whatever the environment says.
export PYTHONDONTWRITEBYTECODE :=
# Files that take long begin first, so that none of them runs alone at the end.
LONG := tests/doctor tests/test_benchmarks.py tests/console tests/talk tests/system tests/test_backup_of_a_server.py tests/web/test_api_fuzz.py

.PHONY: run test check bench docs pictures system system-tests setup setup-dev venv

run: setup
	exec $(BIN)/gunicorn -k gevent wsgi:app

test: setup-dev
	$(BIN)/pytest -n 4 --dist loadfile --no-loadscope-reorder $(LONG) tests

check: setup-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: setup-dev
	$(BIN)/python -m benchmarks

# What is generated of the documents; a test says when they are old.
docs: setup-dev
	$(BIN)/python -m app.reference > docs/configuration.md

# The README's pictures of the console.
pictures: setup-dev
	XIAOZHI_SCREENSHOTS=docs/pictures $(BIN)/pytest tests/console/test_pictures.py

setup: system $(VENV)/.run
setup-dev: system-tests $(VENV)/.dev

venv:
	$(PYTHON) -m venv --clear $(VENV)

$(VENV)/.run: requirements.txt $(if $(WHOLE),,venv)
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

$(VENV)/.dev: requirements-dev.txt requirements.txt $(if $(WHOLE),,venv)
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@ $(VENV)/.run

# Mosquitto, libopus and Python's venv: installed when we may, else the command to type.
system:
	@deploy/system-packages

# And PostgreSQL and Chromium, which the tests start by themselves.
system-tests:
	@deploy/system-packages --tests
