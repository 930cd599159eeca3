# Every target sets up what it needs; `make help` lists them.
SHELL := /bin/bash
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help setup demo check test slow bench miniature quick lock clean

help:  ## List the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 10

setup: $(READY)  ## Install Python packages, Java and Delta's jars (once)

$(READY): requirements.lock conf/uv.lock pyproject.toml
	@PYTHON=$(PYTHON) conf/setup.sh
	@touch $@

demo: $(READY)  ## Run the whole job on a made-up shop: ingest, fit, label, backfill, evaluate
	@./spark-submit.sh demo --conf conf/demo.yaml --conf conf/miniature.yaml

check: $(READY)  ## Lint and type-check
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

test: $(READY)  ## Run the tests (not those marked slow or gpu)
	@JAVA_HOME=$$(conf/find-java.sh) OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --durations=8

slow: $(READY)  ## Run the tests marked slow
	@JAVA_HOME=$$(conf/find-java.sh) $(BIN)/python -m pytest -m slow

bench: $(READY)  ## Run the measurements that need no more than an hour; the others are named in docs/measured.md
	@JAVA_HOME=$$(conf/find-java.sh) bench/all.sh

miniature: $(READY)  ## Train the demo's two little multimodal models anew (20 to 30 minutes on 2 cores)
	@OMP_NUM_THREADS=1 $(BIN)/python -m kdsl.demo.miniature

quick: $(READY)  ## Keep the JVM's classes in .cache, so that commands on this machine start in two thirds of the time (once)
	@conf/quick.sh

lock: $(READY)  ## Resolve the dependencies anew into requirements.lock
	$(BIN)/uv pip compile pyproject.toml --all-extras --generate-hashes --no-emit-index-url \
	  --python-version 3.11 --upgrade -q -o requirements.lock
	echo uv | $(BIN)/uv pip compile - --generate-hashes --no-emit-index-url --python-version 3.11 --upgrade -q -o conf/uv.lock

clean:  ## Remove what the demo, the tests and the set-up made
	rm -rf $(VENV) .cache build logs .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
