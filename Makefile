# One entry for people and CI: on a machine with only make and Python, every goal sets up what it needs.
# make PYTHON=python3.13 …   another interpreter for .venv        make demo ONCE=1     walk through the demo and end
# make test ARGS='-k token'  hand arguments on to pytest          make lock UPGRADE=1  take newer versions
# make test JOBS=0           in one process, as --pdb and -s need it

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
ONCE ?=
ARGS ?=
# Processes that share the tests: one more than processors, since many tests wait.
JOBS ?= $(shell echo $$(($$(nproc) + 1)))
UPGRADE ?=
IMAGE ?= localpayment-proxy:dev
BASE ?=
QUICK ?=
CALLS ?=
UV ?= $(BIN)/uv
DIST ?= dist/release
SIGN ?=
WITH ?=
# As they are written: an expression with another licence in it is another one.
LICENCES := Apache-2.0;Apache Software License;Apache-2.0 AND BSD-2-Clause;Apache-2.0 AND MIT;BSD-3-Clause;MIT;MIT License;\
MIT OR Apache-2.0;PSF-2.0;Python Software Foundation License

# A file's tests stay in one process. In the order in which they are found, the longest come early.
SHARED = -n $(JOBS) --dist loadfile --no-loadscope-reorder
# `alone` runs the others.
MOST = $(or $(ARGS),-m 'not alone')
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
# A package without wheels is built with what build.txt pins, not with what pip would fetch unasked.
REQUIRE := $(PIP) install --quiet --require-hashes --no-build-isolation -r
PROJECT := $(PIP) install --quiet --no-deps --no-build-isolation --editable .
# Everything is resolved once, into dev.txt; the smaller files are parts of it, so that they agree.
LOCK := pip compile --quiet --universal --generate-hashes --no-strip-extras --python-version 3.11 --no-emit-index-url \
	--no-emit-find-links --custom-compile-command 'make lock'
PART := $(LOCK) --constraint requirements/dev.txt

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test alone clients check lint types imports coverage hygiene docs soak bench bench-micro bench-check bench-soak bench-scaling image-check lock audit licences dist image image-archive clean

help: ## say what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.run ## start a simulated Localpayment and the sidecar, walk through some calls; ONCE=1 ends then
	@$(BIN)/localpayment-proxy demo $(if $(filter-out 0,$(ONCE)),--once)

test: $(VENV)/.test ## run the tests; ARGS are pytest's
	$(BIN)/python -m pytest $(SHARED) $(MOST)
	$(if $(ARGS),,@$(MAKE) --no-print-directory alone)

alone: $(VENV)/.test ## run the tests that need the machine to themselves
	$(BIN)/python -m pytest -m alone

clients: $(VENV)/.test ## run the recipes for callers, in each language that is installed here
	$(BIN)/python -m pytest tests/integration/test_callers.py tests/integration/test_callers_repeat.py $(ARGS)

check: lint types imports hygiene docs licences alone coverage bench-check ## do all that CI does

lint: $(VENV)/.dev ## look for mistakes, and for text that the formatter would change
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(VENV)/.dev ## check types
	$(BIN)/mypy

imports: $(VENV)/.dev ## check which module may import which
	$(BIN)/lint-imports

coverage: $(VENV)/.test ## run the tests; fail when they miss too many branches
	$(BIN)/python -m pytest $(SHARED) --cov --cov-report=term $(MOST)

hygiene: $(VENV)/.test ## look for what must never be committed
	$(BIN)/python -m tests.hygiene

soak: $(VENV)/.test ## ten minutes of calls while the token endpoints fail 30 % of the time, twice; 10,000 fuzzed token answers; 200 kills for each ledger; attacks in a memory cgroup
	ATTACK=1 SOAK_SECONDS=$${SOAK_SECONDS:-600} FUZZED_ANSWERS=$${FUZZED_ANSWERS:-10000} KILLS=$${KILLS:-200} $(BIN)/python -m pytest tests/soak tests/attack -s $(ARGS)

docs: $(VENV)/.dev ## build the docs site into dist/site/html; fails on a link that leads nowhere
	$(BIN)/python -m tests.docs_site dist/site
	$(BIN)/zensical build --strict --clean --config-file dist/site/mkdocs.yml

bench: $(VENV)/.test ## compare with Envoy, nginx, HAProxy and plain aiohttp, then with the ledger off; QUICK=1 takes a first look
	$(BIN)/python -m tests.benchmarks.comparison $(if $(filter-out 0,$(QUICK)),--quick) $(ARGS)
	$(BIN)/python -m tests.benchmarks.ledger $(if $(filter-out 0,$(QUICK)),--turns 1 --seconds 1)

bench-micro: $(VENV)/.test ## time each pure piece of a call's path
	$(BIN)/python -m pytest tests/benchmarks/micro_*.py --benchmark-warmup=on --benchmark-columns=min,median,iqr,ops $(ARGS)

# As a part of `check` it leaves ARGS to pytest.
bench-check: $(VENV)/.test ## count the instructions of a call; fail when they have grown; UPDATE=1 takes them as they are
	$(BIN)/python -m tests.benchmarks.instructions $(if $(filter-out 0,$(UPDATE)),--update) $(if $(filter bench-check,$(MAKECMDGOALS)),$(ARGS))

bench-soak: $(VENV)/.test ## relay CALLS=200000 calls; fail when memory or cost of a call grow
	$(BIN)/python -m tests.benchmarks.soak $(if $(CALLS),--calls $(CALLS)) $(ARGS)

bench-scaling: $(VENV)/.test ## measure what a call costs as connections, bodies and callers grow
	$(BIN)/python -m tests.benchmarks.scaling $(ARGS)

lock: | $(UV) ## write requirements/*.txt anew from pyproject.toml; UPGRADE=1 takes newer versions
	$(UV) $(LOCK) $(if $(UPGRADE),--upgrade) pyproject.toml --all-extras --group build -o requirements/dev.txt
	$(UV) $(PART) pyproject.toml --extra test -o requirements/test.txt
	$(UV) $(PART) pyproject.toml -o requirements/run.txt
	$(UV) $(PART) pyproject.toml --extra aws -o requirements/aws.txt
	$(UV) $(PART) pyproject.toml --extra otel -o requirements/otel.txt
	$(UV) $(PART) pyproject.toml --extra postgres -o requirements/postgres.txt
	$(UV) $(PART) pyproject.toml --extra docs -o requirements/docs.txt
	$(UV) $(PART) --group pyproject.toml:build -o requirements/build.txt
	$(UV) $(PART) --group pyproject.toml:sbom -o requirements/sbom.txt

audit: $(VENV)/.dev ## ask the public advisory service about every pinned package; needs the internet
	$(BIN)/pip-audit --require-hashes --disable-pip --requirement requirements/dev.txt

licences: $(VENV)/.dev ## list the licences of what the product runs on; fails on one that nobody agreed to
	@$(BIN)/pip-licenses --from=mixed --order=license --allow-only '$(LICENCES)' \
		--packages $$(sed -n 's/^\([A-Za-z0-9._-]*\)==.*/\1/p' requirements/run.txt)

dist: $(VENV)/.dev ## make what is released into DIST: packages, list of contents, checksums; SIGN= a key that signs, WITH= a folder more
	rm -rf $(DIST)
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(BIN)/python -m hatchling build --directory $(DIST)
	$(BIN)/cyclonedx-py requirements requirements/run.txt --pyproject pyproject.toml --output-reproducible \
		--output-format JSON --output-file $(DIST)/sbom.cdx.json
	$(if $(WITH),cp -R $(WITH)/. $(DIST))
	cd $(DIST) && sha256sum -- * > SHA256SUMS
	$(if $(SIGN),ssh-keygen -Y sign -n localpayment-proxy-release -f $(SIGN) $(DIST)/SHA256SUMS)

image: ## build the container image with docker, podman or buildah; BASE= another base image, IMAGE= its name
	@if docker info >/dev/null 2>&1; then set -- docker build; \
	elif command -v podman >/dev/null; then set -- podman build --format docker; \
	elif command -v buildah >/dev/null; then set -- buildah build --format docker; \
	else echo 'No container engine. Fix: start Docker, or install podman or buildah.' >&2; exit 1; fi; \
	set -x; "$$@" --build-arg SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) --build-arg REVISION=$$(git rev-parse HEAD) \
		--build-arg VERSION=$$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml) \
		$(if $(BASE),--build-arg BASE=$(BASE)) --tag $(IMAGE) .

image-archive: image ## save the image as dist/image/localpayment-proxy.oci.tar, with docker or podman
	rm -rf dist/image && mkdir -p dist/image
	@if docker info >/dev/null 2>&1; then set -- docker save; else set -- podman save --quiet --format oci-archive; fi; \
	set -x; "$$@" --output dist/image/localpayment-proxy.oci.tar $(IMAGE)

image-check: $(VENV)/.test ## build the image with buildah, and run it with podman; needs both, and the base image
	IMAGE_TESTS=1 $(BIN)/python -m pytest tests/integration/test_image_runs.py $(ARGS)

clean: ## remove what was made, .venv included
	rm -rf $(VENV) .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache dist
	find proxy tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo 'This needs Python 3.11 or newer. Fix: name one, as in make PYTHON=python3.13 …' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo 'Python cannot make a virtual environment: its ensurepip module is missing.' >&2; \
		echo 'Fix on Debian and Ubuntu: apt-get install python3-venv' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# Each stamp stands for an installed set; the larger sets hold the smaller.
$(VENV)/.build: requirements/build.txt | $(BIN)/python
	$(REQUIRE) requirements/build.txt
	@touch $@

$(VENV)/.run: requirements/run.txt pyproject.toml $(VENV)/.build
	$(REQUIRE) requirements/run.txt
	$(PROJECT)
	@touch $@

$(VENV)/.test: requirements/test.txt pyproject.toml $(VENV)/.build
	$(REQUIRE) requirements/test.txt
	$(PROJECT)
	@touch $(VENV)/.run $@

$(VENV)/.dev: requirements/dev.txt pyproject.toml $(VENV)/.build
	$(REQUIRE) requirements/dev.txt
	$(PROJECT)
	@touch $(VENV)/.run $(VENV)/.test $@

$(BIN)/uv:
	@$(MAKE) --no-print-directory $(VENV)/.dev
