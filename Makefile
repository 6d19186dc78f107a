# make demo: environment, default models, sentences from keywords.  make test: environment, all checks.
PYTHON ?= python3
BIN := .venv/bin
# the small CPU build where the index has it; on an accelerator: make demo TORCH=torch
TORCH ?= torch==2.13.0

.PHONY: demo test lint laws models reliability clean

demo: .venv/demo
	$(BIN)/textsearch keywords "dog frisbee park" --chains 8 --steps 100 --seed 0

test: lint
	$(BIN)/python -m pytest -n auto

lint: .venv/test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# kernel x law x figure, for every kernel
laws: .venv/test
	$(BIN)/python -m tests.samplers.table

# heavier checks on the default models, fetched on first use
models: .venv/test
	$(BIN)/python -m pytest -m models

# runs that are killed and gone on with, command lines at random: minutes
reliability: .venv/test
	$(BIN)/python -m pytest -m reliability

.venv/torch:
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet $(TORCH)
	touch $@

.venv/demo: .venv/torch pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[default-models,tasks]'
	touch $@

.venv/test: .venv/torch pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[default-models,tasks,dev]'
	touch $@

clean:
	rm -rf .venv build dist
