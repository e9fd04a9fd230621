# Commands of the checkout. Plain `make` lists them.
SHELL := /bin/sh
.DEFAULT_GOAL := help
BIN := .venv/bin
STAMP := .venv/.installed
NEWER := .venv-sqlalchemy21
# Plays two faults at once by itself, so that nothing may run beside it.
FAULTS := tests/lab/test_faults_end_to_end.py
STOCK := aio-pika asyncpg httpx psycopg redis requests urllib3

# Tests beside others wait for a core: what failed is run once more, alone, and fails the build if it
# fails again. Both runs are printed, so that what wavers is seen. pytest, tests, how the first time.
twice = $(1) $(3) $(2) || { [ $$? -eq 1 ] && echo "=== once more, alone ===" && \
  $(1) --last-failed --last-failed-no-failures=none $(2); }

.PHONY: help install demo test test-browser test-sqlalchemy test-pythons check bench bench-engine bench-live bench-receive bench-tempo bench-alerts bench-explorer bench-probe bench-harm matrix test-matrix oracles prove-broker prove-llm prove-database prove-nightly prove-alerts prove-strangers prove-hang demo-prometheus stack-check picture screenshots explorer dashboards docs clean

help:
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-15s %s\n", $$1, $$2}' Makefile

install: $(STAMP)  ## make .venv with the pinned versions of requirements.lock
	@:

demo: install  ## hang a real service and print why (FAULT=B1 picks another fault)
	@exec $(BIN)/why504 demo $(FAULT)

test: install  ## run every test on real servers; pytest's -k and friends go into ARGS
ifeq ($(ARGS),)
	@$(call twice,$(BIN)/pytest,tests/unit,-n auto)
	@$(call twice,$(BIN)/pytest,tests/integration tests/stack tests/lab --ignore=$(FAULTS),-n 3 --dist loadfile)
	@$(call twice,$(BIN)/pytest,$(FAULTS))
else
	@exec $(BIN)/pytest --ignore=tests/docs $(ARGS)
endif

test-browser: install  ## the explorer in a real Chromium (Debian's package), on live data too
	@exec $(BIN)/pytest -m browser tests/integration/explorer $(ARGS)

test-sqlalchemy: install $(NEWER)/.installed  ## pools on SQLAlchemy 2.1 and beside stock OpenTelemetry (1 min)
	@$(call twice,$(NEWER)/bin/pytest -o cache_dir=$(NEWER)/.cache,tests/integration/pools/test_found_engines.py \
	  tests/integration/pools/test_beside_stock.py tests/integration/probe/test_probe_pool.py $(ARGS),-n 2)

test-pythons: install  ## probe and engine on each Python here (ARGS=--fetch: Debian's newer ones too)
	@exec $(BIN)/python -m lab.pythons $(ARGS)

check: install  ## lint, format, types, layers and docs, in under a minute
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -q -n auto tests/docs

bench: bench-engine bench-live bench-receive  ## every benchmark, one after another

bench-engine: install  ## 10 M spans to ranked causes, beside plain joins (5 min)
	@exec $(BIN)/python -m bench.engine $(ARGS)

bench-live: install  ## the live view at 10,000 open requests, beside reading anew (2 min)
	@exec $(BIN)/python -m bench.live $(ARGS)

bench-receive: install  ## OTLP over HTTP to durable Parquet, beside a plain loop (1 min)
	@exec $(BIN)/python -m bench.receive

bench-tempo: install  ## 1 M spans in a server like Tempo: requests and the verdict (5 min)
	@exec $(BIN)/python -m bench.tempo $(ARGS)

bench-alerts: install  ## 100,000 alerts and 200 x kill -9 into a room that misbehaves (25 min)
	@exec $(BIN)/python -m bench.alerts $(ARGS)

bench-explorer: install  ## the explorer on 1 M spans in a real Chromium: first view and clicks (3 min)
	@exec $(BIN)/python -m bench.explorer $(ARGS)

bench-probe: install .venv/peers  ## CPU that a request costs more with the probe, beside six others (10 min)
	@exec $(BIN)/python -m bench.probe cost $(ARGS)

bench-harm: install  ## idle, loop lag, a dead collector, ten hours of a hang: does it harm? (10 min)
	@exec $(BIN)/python -m bench.probe harm $(ARGS)

matrix: install  ## every fault under every condition: injected against named (3 h, resumable)
	@exec $(BIN)/why504 matrix --resume $(ARGS)

test-matrix: install  ## a sample of the matrix, with every fault and condition (15 min)
	@exec $(BIN)/why504 matrix --sample 40 $(ARGS)

oracles: install  ## classic critical paths against their authors' answers (WHY504_ORACLES=folder)
	@exec $(BIN)/python -m lab.oracles $(ARGS)

prove-broker: install  ## RabbitMQ fails, then 100 x kill -9: nothing lost or done twice (25 min)
	@exec $(BIN)/python -m lab.prove broker $(ARGS)

prove-llm: install  ## Groq down, refusing and slow: every request keeps its budget (10 min)
	@exec $(BIN)/python -m lab.prove llm $(ARGS)

prove-database: install  ## PostgreSQL frozen and killed: clear 503s, back within 5 s (4 min)
	@exec $(BIN)/python -m lab.prove database $(ARGS)

prove-nightly: install  ## 10,000 users by night beside the traffic of the day (8 min)
	@exec $(BIN)/python -m lab.prove nightly $(ARGS)

prove-alerts: install  ## five hangs: the right card within 120 s; an hour of health: none (80 min)
	@$(BIN)/python -m lab.prove alerts $(ARGS)
	@exec $(BIN)/python -m lab.prove quiet $(ARGS)

prove-strangers: install  ## eight hangs of other people's services, told from telemetry (3 min)
	@exec $(BIN)/python -m lab.prove strangers $(ARGS)

prove-hang: install  ## 200 requests hang for 7 minutes: answers, bytes, memory, CPU
	@exec $(BIN)/python -m lab.prove hang $(ARGS)

demo-prometheus: install  ## a fault under real Prometheus and Alertmanager: rules, card, dashboards (6 min)
	@exec $(BIN)/python -m lab.prove dashboards $(if $(FAULT),--fault $(FAULT)) $(ARGS)

stack-check: install  ## what Compose, Tempo, Grafana and all others read, without Docker (1 min)
	@exec $(BIN)/python -m bench.stack_check

picture: install  ## draw docs/answer.svg from a run of the demo
	@store=$$($(BIN)/why504 demo F1 --json | \
	  $(BIN)/python -c 'import json, sys; print(json.load(sys.stdin)["store"])') && \
	  $(BIN)/why504 explain --store "$$store" --picture docs/answer.svg > /dev/null

screenshots: install  ## every page of the explorer, in both themes and as on a phone (STORE=folder)
	@exec $(BIN)/python -m lab.screenshots $(if $(STORE),--store "$(STORE)")

explorer: install  ## open the incident explorer on what is stored
	@exec $(BIN)/why504 explorer

dashboards: install  ## write grafana/dashboards anew from grafana/source
	@$(BIN)/python -m grafana.source

docs: install  ## write the pages that are made: docs/cli.md and docs/telemetry.md
	@$(BIN)/typer why504.cli utils docs --name why504 --output docs/cli.md
	@$(BIN)/python -m lab.telemetry_page > docs/telemetry.md

clean:  ## remove what runs and tests left behind (.venv stays)
	@rm -rf .why504 .run dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -path ./.venv -prune -o -name __pycache__ -type d -exec rm -rf {} +

# Peers of the probe, which would get into every process of .venv. Without them they are skipped.
.venv/peers: bench/probe/peers.txt | install
	@rm -rf $@
	-@$(BIN)/uv pip install -q --python $(BIN)/python --target $@ --no-deps -r bench/probe/peers.txt

# uv comes out of the lock too: no tool is taken from the machine but Python.
$(BIN)/uv:
	@for python in "$${PYTHON:-python3}" python3.14 python3.13 python3.12 python3.11; do \
	  "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
	  "$$python" -c 'import ensurepip, venv' 2>/dev/null || { \
	    echo "$$python has no venv module. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }; \
	  "$$python" -m venv .venv && exec $(BIN)/python -m pip install -q --disable-pip-version-check \
	    "$$(grep '^uv==' requirements.lock)"; \
	  exit 1; \
	done; \
	echo 'why504 needs Python 3.11 or newer; tried python3 and python3.11 to 3.14.' \
	  'Point to one: make install PYTHON=/path/to/python3.12' >&2; exit 1

$(STAMP): requirements.lock pyproject.toml | $(BIN)/uv
	@$(BIN)/uv pip sync -q --python $(BIN)/python requirements.lock
	@$(BIN)/uv pip install -q --python $(BIN)/python --no-deps -e .
	@touch $(STAMP)

# The lock without its SQLAlchemy, the newer one beside it; stock OpenTelemetry of all that is watched.
$(NEWER)/.installed: requirements.lock | $(STAMP)
	@$(BIN)/uv venv -q --clear --python $(BIN)/python $(NEWER)
	@grep -v '^sqlalchemy==' requirements.lock > $(NEWER)/others.txt
	@$(BIN)/uv pip install -q --python $(NEWER)/bin/python -r $(NEWER)/others.txt 'sqlalchemy[asyncio]>=2.1,<2.2' \
	  $(STOCK:%='opentelemetry-instrumentation-%==0.66b1')
	@$(BIN)/uv pip install -q --python $(NEWER)/bin/python --no-deps -e .
	@touch $@
