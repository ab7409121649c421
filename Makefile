# One verb each; `make help` lists them. Needs only python3 (3.11) and, where no Docker engine answers, Go and root on Debian 12.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv/bin

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z][a-z0-9-]*:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

.PHONY: up
up: ## Bring up a cluster with Cronwright on it, run the demo, write .local/env
	@$(PYTHON) dev/up

.PHONY: down
down: ## End what `make up` started, and remove the cluster it made
	@$(PYTHON) dev/up down

.PHONY: status
status: ## Show the cluster, the release and the newest executions
	@$(PYTHON) dev/up status

.PHONY: test
test: ## Install what is needed and run all tests: lint, unit, property, simulation, integration, contract, end to end, chaos
	@$(PYTHON) dev/testrun

.PHONY: lint
lint: ## Check style, types and the direction of imports
	@$(PYTHON) dev/testrun lint

.PHONY: unit
unit: ## Run the unit tests (no socket, no database), and those of invariants with random input
	@$(PYTHON) dev/testrun unit property

.PHONY: simulation
simulation: ## Run the operator's simulated lives: random ones, bursts, and an end at each of its writes
	@$(PYTHON) dev/testrun simulation

.PHONY: integration
integration: ## Run the tests on a real PostgreSQL and a real API server
	@$(PYTHON) dev/testrun integration kube

.PHONY: contract
contract: ## Run the tests of chart, CRDs and OpenAPI
	@$(PYTHON) dev/testrun contract

.PHONY: e2e
e2e: ## Run the end-to-end tests through the installed chart
	@$(PYTHON) dev/testrun e2e absence lifecycle

.PHONY: chaos
chaos: ## End parts of the installation by SIGKILL under 800 executions, and compare the records
	@CRONWRIGHT_CHAOS=full $(PYTHON) dev/testrun chaos

.PHONY: outage
outage: ## Take PostgreSQL away for an hour, and compare the records (CRONWRIGHT_OUTAGE_MINUTES=60)
	@$(PYTHON) dev/testrun outage

.PHONY: bench-api
bench-api: venv ## Measure reads of the REST API over a million executions; writes docs/benchmarks.md
	@$(VENV)/python -m bench.api --write

.PHONY: venv
venv: ## Make or refresh .venv from requirements-dev.lock
	@$(PYTHON) dev/testrun environment

.PHONY: sync-crds
sync-crds: ## Copy crds/ into the chart (a contract test fails when they differ)
	@mkdir -p charts/cronwright/files/crds
	@rm -f charts/cronwright/files/crds/*.yaml
	@cp crds/*.yaml charts/cronwright/files/crds/
	@echo "charts/cronwright/files/crds = crds/"

.PHONY: openapi
openapi: venv ## Write docs/openapi.json and the document's examples (a contract test fails when they are not current)
	@mkdir -p .local
	@PYTHONPATH=tests $(VENV)/python -m support.customer_document > .local/examples.json
	@mv .local/examples.json api/cronwright_api/schemas/document_examples.json
	@$(VENV)/python -c 'import sys; from cronwright_api.command import openapi; sys.exit(openapi([]))' > .local/openapi.json
	@mv .local/openapi.json docs/openapi.json
	@echo "docs/openapi.json is current"

.PHONY: lock
lock: venv ## Resolve the dependencies anew and write the three lock files
	@$(VENV)/python -m pip install --quiet uv
	$(VENV)/python -m uv pip compile pyproject.toml --upgrade --generate-hashes --no-emit-index-url --no-header \
	    --python-version 3.11 -o requirements.lock --quiet
	$(VENV)/python -m uv pip compile pyproject.toml --extra dev --generate-hashes --no-emit-index-url --no-header \
	    --python-version 3.11 -c requirements.lock -o requirements-dev.lock --quiet
	echo 'hatchling>=1.27' | $(VENV)/python -m uv pip compile - --generate-hashes --no-emit-index-url --no-header --no-annotate \
	    --python-version 3.11 -c requirements-dev.lock -o requirements-build.lock --quiet
