# make demo: environment, default models, sentences from keywords.  make test: environment, all checks.
#
# On a machine without a GPU, where the package index has only builds of torch for one (5 GB):
#     make demo TORCH_INDEX=https://download.pytorch.org/whl/cpu
# A torch that is there already, or another release: make demo TORCH="torch==2.14.1"
PYTHON ?= python3
TORCH ?= torch==2.13.0
TORCH_INDEX ?=
ENV ?= .venv
# what else is installed, to the digit; empty for the newest releases
LOCK ?= --constraint constraints.txt

# Intel's processors choose the order of sums by shape and alignment unless told not to; the laws are to the bit
SAME_BITS := $(shell grep -qs GenuineIntel /proc/cpuinfo && echo MKL_CBWR=AVX2,STRICT ONEDNN_MAX_CPU_ISA=AVX2)

SHELL := /bin/bash -o pipefail
BIN := $(ENV)/bin
PIP := @$(BIN)/python -m pip install --quiet --disable-pip-version-check
# a line for each thing that takes its time, also where the output goes to a file
SAY := @echo "  *"

.PHONY: demo test test-newest test-browser screenshots lint laws models reliability cluster release-check lock docs \
  docs-links notebooks clean

demo: $(ENV)/demo
	$(SAY) "writing sentences, a minute or two; the first time after fetching the causal model, 93 MB"
	$(BIN)/textsearch keywords "dog frisbee park" --chains 8 --steps 100 --seed 0

# as many processes as cores, one thread each
test: lint
	OMP_NUM_THREADS=1 $(SAME_BITS) $(BIN)/python -m pytest -n auto

# the suite on the newest releases of everything but torch, in an environment of its own, made anew
test-newest:
	rm -rf .venv-newest
	$(MAKE) .venv-newest/test ENV=.venv-newest LOCK=
	.venv-newest/bin/python -m pip list
	OMP_NUM_THREADS=1 $(SAME_BITS) .venv-newest/bin/python -m pytest -n auto -W default

lint: $(ENV)/test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# kernel x law x figure, for every kernel
laws: $(ENV)/test
	$(SAME_BITS) $(BIN)/python -m tests.samplers.table

# heavier checks on the default models, fetched on first use
models: $(ENV)/test
	$(SAME_BITS) $(BIN)/python -m pytest -m models

# runs that are killed and resumed, thousands of random calls and command lines
reliability: $(ENV)/test
	$(SAME_BITS) $(BIN)/python -m pytest -m reliability -o faulthandler_timeout=3600

# workers on clusters of dask and ray, in an environment of its own
cluster:
	$(MAKE) .venv-cluster/test ENV=.venv-cluster LOCK=
	$(SAY) "installing dask and ray"
	.venv-cluster/bin/python -m pip install --quiet --disable-pip-version-check -e '.[dask,ray]'
	$(SAME_BITS) .venv-cluster/bin/python -m pytest -m cluster

# the site, in build/docs/html: a warning or a link that leads nowhere is an error; notebooks are shown as they are stored
docs: $(ENV)/docs
	$(BIN)/python -m sphinx --fail-on-warning --keep-going -b html -d build/docs/doctrees docs build/docs/html

# links to other sites; needs a network
docs-links: $(ENV)/docs
	$(BIN)/python -m sphinx -b linkcheck -d build/docs/doctrees docs build/docs/links

# runs the tutorials on the default models, each within five minutes, and stores what they show
notebooks: $(ENV)/docs
	$(BIN)/python docs/notebooks.py docs/tutorial/*.ipynb

# the page in headless Chromium, which Debian's packages have; CHROMIUM names one that is there already
CHROMIUM ?= chromium
test-browser: $(ENV)/browser
	CHROMIUM=$(CHROMIUM) $(SAME_BITS) $(BIN)/python -m pytest -m browser

# pictures of the page in docs/, with the default models
screenshots: $(ENV)/browser
	CHROMIUM=$(CHROMIUM) $(BIN)/python -m tests.studio.screenshots docs

$(ENV)/browser: $(ENV)/test
	$(SAY) "installing Chromium where there is none, then the page and Playwright"
	@command -v $(CHROMIUM) > /dev/null || (apt-get update -qq && apt-get install -y -qq --no-install-recommends \
	  chromium fonts-noto-cjk)
	$(PIP) $(LOCK) --no-build-isolation --editable '.[default-models,tasks,dev,browser]'
	@touch $@

# wheel and sdist, each installed into an empty environment and used as README says; FETCH=--fetch fetches torch too
release-check: $(ENV)/test
	$(BIN)/python -m tests.release_check $(FETCH)

# the newest releases that fit together, for every Python from 3.11 on; torch and what it brings are left to TORCH
lock:
	$(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --quiet uv
	(echo "# What make installs beside torch, for demo, test, docs and test-browser; made by make lock."; \
	echo "$(TORCH)" | build/lock/bin/uv pip compile pyproject.toml --constraint - --universal \
	  --extra default-models --extra tasks --extra grammar --extra studio --extra dev --extra docs --extra browser \
	  --python-version 3.11 --no-header --no-annotate --quiet --upgrade \
	  | grep -vE '^(torch|triton|nvidia-|cuda-)') > build/constraints.txt
	mv build/constraints.txt constraints.txt

$(ENV)/torch:
	$(SAY) "making an environment in $(ENV), and installing $(TORCH): 200 MB for a CPU, gigabytes for a GPU"
	@$(PYTHON) -m venv $(ENV)
	$(PIP) $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) $(TORCH)
	$(PIP) $(LOCK) hatchling editables
	@touch $@

$(ENV)/demo: $(ENV)/torch pyproject.toml constraints.txt
	$(SAY) "installing textsearch and its packages, a minute or two"
	$(PIP) $(LOCK) --no-build-isolation --editable '.[default-models,tasks,grammar,studio]'
	@touch $@

$(ENV)/test: $(ENV)/torch pyproject.toml constraints.txt
	$(SAY) "installing textsearch, its packages and its checks, a minute or two"
	$(PIP) $(LOCK) --no-build-isolation --editable '.[default-models,tasks,dev]'
	@touch $@

$(ENV)/docs: $(ENV)/test
	$(SAY) "installing what makes the site"
	$(PIP) $(LOCK) --no-build-isolation --editable '.[default-models,tasks,dev,docs]'
	@touch $@

clean:
	rm -rf .venv .venv-newest .venv-cluster build dist
