# Every command of the README and of CI. `make help` lists them.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
ARGS   ?=

# constraints/cpu.txt pins a CPU build of torch, so that no CUDA package can be pulled in by accident.
# It is found through PIP_FIND_LINKS where that is set, otherwise on PyTorch's own CPU index.
# On a machine with a GPU: make install TORCH=cuda
TORCH ?= cpu
TORCH_SOURCE_cpu  := -c constraints/cpu.txt $(if $(PIP_FIND_LINKS),,--extra-index-url https://download.pytorch.org/whl/cpu)
TORCH_SOURCE_cuda :=
# Tests run in two processes; in one, where 0 is given: make test TESTS_AT_ONCE=0 ARGS="-x --pdb". Those that
# start Ray run alone: it gives up after a minute where others have the processors, and two clusters on one
# machine answer each other's requests.
TESTS_AT_ONCE ?= 2
PYTEST := $(BIN)/python -m pytest
BESIDE := -n $(TESTS_AT_ONCE) --dist loadfile --no-loadscope-reorder
EXTRAS ?= model,registry,report,utility,dev

# Small matrices on shared cores: one thread was 5 to 10 times faster than two (docs/adr/0006).
export OMP_NUM_THREADS ?= 1
export RAY_USAGE_STATS_ENABLED ?= 0
export TOKENIZERS_PARALLELISM ?= false

.PHONY: help install demo test test-unit test-serve test-deploy deploy-tools browser screenshots dashboards lint format proto organism bench clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(VENV)/installed: pyproject.toml constraints/cpu.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet $(TORCH_SOURCE_$(TORCH)) -e ".[$(EXTRAS)]"
	touch $@

install: $(VENV)/installed  ## make .venv with everything in it

demo: install  ## the whole line: gap, recalibration, rollout, steered answers over gRPC
	$(BIN)/recal demo $(ARGS)

test: install lint deploy-tools browser  ## everything that CI runs
	PYTEST="$(PYTEST)" BESIDE="$(BESIDE)" ./tests/run_all.sh $(ARGS)

test-unit: install  ## plain classes only: seconds, no Ray
	$(PYTEST) $(BESIDE) --ignore tests/deploy -m "not serve and not organism and not gpu" $(ARGS)

test-serve: install  ## real Ray, real gRPC
	$(PYTEST) --ignore tests/deploy -m serve $(ARGS)

test-deploy: install deploy-tools  ## manifests, alerts, dashboards, Containerfile: offline, against their schemas
	$(PYTEST) tests/deploy $(ARGS)

$(VENV)/deploy-tools: pyproject.toml tests/deploy/get_prometheus.sh tests/deploy/get_postgres.sh | $(VENV)/installed
	$(BIN)/python -m pip install --quiet $(TORCH_SOURCE_$(TORCH)) -e ".[deploy]"
	./tests/deploy/get_prometheus.sh $(BIN)
	./tests/deploy/get_postgres.sh $(VENV)/postgresql
	touch $@

deploy-tools: $(VENV)/deploy-tools  ## kubectl, promtool, prometheus, hadolint, PostgreSQL and schemas into .venv

browser:  ## Chromium, for tests that look at pages; Debian's, where it may be installed
	./tests/get_chromium.sh

screenshots: install browser  ## take the pictures of the console and of the report in docs/images anew
	$(BIN)/python -m tests.screenshots

dashboards: deploy-tools  ## write k8s/base/dashboards anew from k8s/dashboards
	$(BIN)/python -m k8s.dashboards

lint: install  ## ruff, mypy strict, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install  ## let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

proto:  ## regenerate services/pb from protos/
	./protos/generate.sh

organism: install  ## train the shipped model organism again
	$(BIN)/recal organism train --out recal/organism/weights/organism-qwen2 $(ARGS)

bench: install  ## what serving costs, beside its peers; make bench ARGS=--quick shows that it runs
	$(BIN)/python -m pip install --quiet $(TORCH_SOURCE_$(TORCH)) -e ".[bench]"
	$(BIN)/python -m benchmarks.serving $(ARGS)

clean:  ## remove everything that the targets above made
	rm -rf $(VENV) var build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
