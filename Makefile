# `make run` starts the relay, `make test` proves it. Each makes first what it needs.

VENV = .venv
PYTHON = python3
BIN = $(VENV)/bin
SOURCES = app.py config.py gunicorn.conf.py controllers models services utils workers
# Programs that some tests start, by the name of their Debian package.
TEST_TOOLS = faketime cc dovecot sievec postfix curl chromium mbsync nginx caddy
SOAK_MINUTES = 30
PYTEST_ARGS = -n auto --dist worksteal
BENCH_ARGS = --write

.PHONY: help run install test lint format tools node soak bench clean

help:
	@echo 'make run      start the relay on 127.0.0.1:5000'
	@echo 'make install  make $(VENV) with what the relay needs, to be run by a supervisor'
	@echo 'make test     lint, check types, run all tests on SQLite and on PostgreSQL, with coverage'
	@echo 'make soak     all fault cases, then mixed load and random faults for SOAK_MINUTES=$(SOAK_MINUTES)'
	@echo 'make bench    measure against Postfix, smtplib, Flask, Celery, mbsync: some 30 minutes'
	@echo 'make lint     ruff and mypy alone'
	@echo 'make format   let ruff put the code in order'
	@echo 'make clean    remove $(VENV) and what tests and linters leave'

run: $(VENV)/.installed
	@exec $(BIN)/python app.py

install: $(VENV)/.installed

test: lint tools node
	$(BIN)/python -m pytest $(PYTEST_ARGS) --cov
	MAILFERRY_TEST_DATABASE=postgresql $(BIN)/python -m pytest $(PYTEST_ARGS)

lint: $(VENV)/.installed-dev
	$(BIN)/python -m ruff check
	$(BIN)/python -m ruff format --check
	$(BIN)/python -m mypy $(SOURCES)

format: $(VENV)/.installed-dev
	$(BIN)/python -m ruff check --fix
	$(BIN)/python -m ruff format

# Only root can install them; without them the tests that need them are skipped, or fail where CI=true.
# Debian starts a server when it is installed, unless policy-rc.d says no.
tools:
	@missing=''; \
	PATH="$$PATH:/usr/sbin"; \
	for tool in $(TEST_TOOLS); do command -v $$tool >/dev/null || missing="$$missing $$tool"; done; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	missing=$$(echo "$$missing" | sed 's/ cc\>/ gcc libc6-dev/; s/ mbsync\>/ isync/; s/ sievec\>/ dovecot-sieve/; s/ dovecot\>/ dovecot-imapd dovecot-pop3d dovecot-lmtpd/'); \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing$$missing with apt-get"; \
		export DEBIAN_FRONTEND=noninteractive; \
		policy=/usr/sbin/policy-rc.d; \
		if [ ! -e $$policy ]; then \
			trap "rm -f $$policy" EXIT; \
			printf '#!/bin/sh\nexit 101\n' >$$policy && chmod +x $$policy; \
		fi; \
		apt-get update -qq && apt-get install -y -qq --no-install-recommends $$missing && exit 0; \
	fi; \
	echo "Not installed:$$missing. Tests that need them will be skipped; to run them too:"; \
	echo "    sudo apt-get install --no-install-recommends$$missing"

# What tests run in Node: the linter of /openapi.json, generators of clients. Node itself is in a wheel.
node: $(VENV)/node/package.json

# Prints the table of docs/performance.md.
soak: $(VENV)/.installed-dev tools
	$(BIN)/python -m pytest tests/faults tests/e2e tests/composing/test_killed.py tests/http/test_bad_bodies.py --long \
		-n auto --dist worksteal
	$(BIN)/python -m tests.faults.soak --minutes $(SOAK_MINUTES)

# Small and quick: make bench BENCH_ARGS=--quick
bench: $(VENV)/.installed-bench
	@benchmarks/install.sh
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

clean:
	rm -rf $(VENV) .coverage .coverage.* htmlcov .pytest_cache .mypy_cache .ruff_cache .hypothesis .schemathesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.installed: requirements.txt | $(BIN)/python
	@echo 'Installing requirements.txt into $(VENV)'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/.installed-dev: requirements.txt requirements-dev.txt | $(BIN)/python
	@echo 'Installing requirements-dev.txt into $(VENV)'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $(VENV)/.installed $@

$(VENV)/node/package.json: tests/package.json $(VENV)/.installed-dev
	@echo 'Installing tests/package.json into $(VENV)/node'
	@mkdir -p $(VENV)/node && cp tests/package.json $(VENV)/node/package.new
	@cd $(VENV)/node && mv package.new package.json && PATH="$(abspath $(BIN)):$$PATH" npm install --silent --no-audit \
		--no-fund --no-package-lock --ignore-scripts --omit=optional \
		|| { rm -f package.json; echo 'Not installed. Tests that need them will be skipped.'; }

$(VENV)/.installed-bench: $(VENV)/.installed-dev requirements-bench.txt
	@echo 'Installing requirements-bench.txt into $(VENV)'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-bench.txt
	@touch $@

$(BIN)/python:
	@for python in $(PYTHON) python3.14 python3.13 python3.12 python3.11; do \
		if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			echo "Making $(VENV) with $$($$python --version)"; \
			exec $$python -m venv --clear $(VENV); \
		fi; \
	done; \
	echo 'Mailferry needs Python 3.11 or newer. Install it, or name it: make run PYTHON=/path/to/python3' >&2; \
	exit 1
