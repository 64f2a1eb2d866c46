# make repro   set everything up and run the whole study (demo scale; on your music with MUSIC_LIBRARY=/path)
# make test    set everything up and pass the tests
# make chaos   break a training in every way we know and see it survive
#              (KILLS=100 SCALE=demo ONLY=kills, KILLS=1000 SCALE=long ONLY=kills, THOROUGH=1: long forms)
# make seeds   train again with other seeds, and say how much of each difference is luck (SEEDS="2020 2021"; not part of repro)
# make ui      open the MLflow pages of all runs
# make notebooks   execute the notebooks again (STUDY_2019=/path: where the 2019 study's files are)

SHELL := /bin/bash
PYTHON ?= python3.11
BIN := .venv/bin
export MLFLOW_DISABLE_TELEMETRY := true
export DVC_NO_ANALYTICS := true

.PHONY: repro test check chaos seeds ui notebooks lock clean help

help:
	@sed -n '/^# make/,/^$$/s/^# //p' Makefile

# The environment: requirements.lock names every package, so none is looked up. Made anew when the lock changes.
.venv/made: requirements.lock
	@command -v $(PYTHON) >/dev/null || { echo "error: $(PYTHON) was not found. Install Python 3.11, or name yours: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "error: $(PYTHON) is $$($(PYTHON) --version 2>&1). The packages of requirements.lock and the results are of Python 3.11. Name one: make PYTHON=/path/to/python3.11"; exit 1; }
	@echo "Setting up .venv (some minutes the first time) ..."
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --requirement requirements.lock
	@touch $@

repro: .venv/made
	@[ -e .git ] || { echo "error: this folder is not a git checkout, which DVC needs. Run first: git init" >&2; exit 1; }
	@$(BIN)/python -m src.library
	$(BIN)/dvc repro

# A module's tests share what they set up, so a process takes whole modules.
test: .venv/made
	$(BIN)/python -m pytest --numprocesses logical --maxprocesses 4 --dist loadscope

KILLS ?= 10
SCALE ?= tiny
chaos: .venv/made
	$(BIN)/python -m tests.chaos --kills $(KILLS) --scale $(SCALE) $(addprefix --only ,$(ONLY)) $(if $(THOROUGH),--thorough)

SEEDS ?= 2020 2021
seeds: .venv/made
	@set -e; for seed in $(SEEDS); do \
	  $(BIN)/python -m src.train --seed $$seed; \
	  for step in work/runs/seed-$$seed/checkpoints/step-*; do \
	    $(BIN)/python -m src.generate --run seed-$$seed --step $${step##*step-}; \
	  done; \
	  $(BIN)/python -m src.evaluate --run seed-$$seed; \
	done
	@$(BIN)/python -m src.evaluate.seeds

check: .venv/made
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

ui: .venv/made
	@echo "MLflow opens in some 20 seconds at http://127.0.0.1:5000 (Ctrl-C ends it). Choose 'Model training' at its top left, then wavenet-study."
	@$(BIN)/python -c "from src.record.tracking import Store; Store()"
	@$(BIN)/mlflow ui --host 127.0.0.1 --backend-store-uri sqlite:///mlruns/mlflow.db

notebooks: .venv/made
	$(BIN)/python notebooks/execute.py

# After a change of requirements.in: make the environment from it and write down what came out.
lock:
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --upgrade --requirement requirements.in
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --requirement requirements-no-deps.in
	@(echo "# Written by \`make lock\`: every package at the version the results were made with."; $(BIN)/pip freeze | sed 's/+cpu//') > requirements.lock
	@touch .venv/made

clean:
	rm -rf .venv
