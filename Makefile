# make repro   set everything up and run the whole study (demo scale; on your music with MUSIC_LIBRARY=/path)
# make pull    get the results of a published study from its DVC remote, and say what was not published
# make test    set everything up and pass the tests (make test-team: those of docs/team.md, with servers and remotes)
# make chaos   break a training in every way we know and see it survive
#              (KILLS=100 SCALE=demo ONLY=kills, KILLS=1000 SCALE=long ONLY=kills, THOROUGH=1: long forms)
# make seeds   train again with other seeds, and say how much of each difference is luck (SEEDS="2020 2021"; not part of repro)
# make ui      open the MLflow pages of all runs
# make docs    the pages of docs/ as a site in work/site
# make notebooks   execute the notebooks again (STUDY_2019=/path: where the 2019 study's files are)
# make setup   set everything up and do nothing yet
# make clean   remove .venv and nothing else

SHELL := /bin/bash
PYTHON ?= python3.11
# `python -m` everywhere: programs in .venv/bin name the folder that they were made in, which may be moved.
BIN := .venv/bin
export MLFLOW_DISABLE_TELEMETRY := true
export DVC_NO_ANALYTICS := true

.PHONY: repro pull test test-team check chaos seeds ui docs notebooks setup lock clean help

help:
	@sed -n '/^# make/,/^$$/s/^# //p' Makefile

# The environment: requirements.lock names every package with the hashes of its files, so none is looked up and none that
# was swapped is taken. A CPU build of torch in a folder that pip knows (find-links) is taken first: by itself pip prefers
# the registry's file, whose hash it sees. That build needs NVIDIA's libraries, on Linux even without a GPU
# (requirements-cuda.lock, 3 GB). Made anew when a lock changes.
TORCH := $(shell sed -n 's/^torch==//p' requirements.in)
TORCH_CPU := 6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b
PIP := $(BIN)/python -m pip install --disable-pip-version-check --no-deps --require-hashes
.venv/made: requirements.lock requirements-cuda.lock
	@command -v $(PYTHON) >/dev/null || { echo "error: $(PYTHON) was not found. Install Python 3.11, or name yours: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "error: $(PYTHON) is $$($(PYTHON) --version 2>&1). The packages of requirements.lock and the results are of Python 3.11. Name one: make PYTHON=/path/to/python3.11"; exit 1; }
	@echo "Setting up .venv (some minutes the first time) ..."
	@$(PYTHON) -m venv .venv
	@echo "torch==$(TORCH) --hash=sha256:$(TORCH_CPU)" > .venv/torch-cpu.lock
	@$(PIP) --quiet --no-index --requirement .venv/torch-cpu.lock 2>/dev/null || true
	@# Minutes: of what pip prints, how far it is. Its errors are not piped; a pipe's status is its last command's.
	@{ PYTHONUNBUFFERED=1 $(PIP) --progress-bar off --requirement requirements.lock; echo "pip ended $$?"; } | awk \
	  -v all="$$(grep -c '^[a-z]' requirements.lock)" -v back="$$([ -t 2 ] && printf '\r')" ' \
	  /^(Collecting|Processing) / {n++; if (back || n % 50 == 0) printf "%s%d of %d packages loaded%s", back, n, all, back ? "" : "\n"; fflush()} \
	  /^Installing/ {printf "%sInstalling %d packages ...     \n", back, n; fflush()} \
	  /^pip ended/ {exit $$3}'
	@$(BIN)/python -c 'from importlib.metadata import version as v; raise SystemExit(not v("torch").endswith("+cpu"))' \
	  || { echo "No CPU build of torch was found: installing NVIDIA's libraries, too (3 GB) ..."; $(PIP) --quiet --requirement requirements-cuda.lock; }
	@touch $@

setup: .venv/made

repro: .venv/made
	@[ -e .git ] || { echo "error: this folder is not a git checkout, which DVC needs. Run first: git init" >&2; exit 1; }
	@# DVC and make put lines of their own below the one that says why.
	@echo "$(BIN)/python -m dvc repro"
	@$(BIN)/python -m dvc repro || { echo 'The reason stands above, where a line begins with "error:".' >&2; exit 1; }
	@$(BIN)/python -m src.reproduced

# Plain `dvc pull` gets the same and ends with an error, because its owner's songs are not there.
pull: .venv/made
	$(BIN)/python -m dvc pull --allow-missing
	@for name in $$($(BIN)/python -m dvc list . data --dvc-only); do [ -e "data/$$name" ] || echo "Not published, so not here: data/$$name"; done

# A module's tests share what they set up, so a process takes whole modules. They wait for programs half of their time, so
# there are two for each core. Those with servers, remotes, hosts and experiments take minutes: a target of their own.
PYTEST = $(BIN)/python -m pytest --numprocesses $(shell $(PYTHON) -c 'import os; print(min(8, 2 * os.cpu_count()))') --dist loadscope --no-loadscope-reorder
test: .venv/made
	$(PYTEST) --ignore tests/team

test-team: .venv/made
	$(PYTEST) tests/team

KILLS ?= 10
SCALE ?= tiny
chaos: .venv/made
	$(BIN)/python -m tests.chaos --kills $(KILLS) --scale $(SCALE) $(addprefix --only ,$(ONLY)) $(if $(THOROUGH),--thorough)

SEEDS ?= 2020 2021
seeds: .venv/made
	@set -e; for seed in $(SEEDS); do \
	  $(BIN)/python -m src.train --seed $$seed; \
	  for step in work/runs/seed-$$seed/checkpoints/step-*; do \
	    $(BIN)/python -m src.generate --run seed-$$seed --steps $${step##*step-}; \
	  done; \
	  $(BIN)/python -m src.evaluate --run seed-$$seed; \
	done
	@$(BIN)/python -m src.evaluate.seeds

check: .venv/made
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy
	$(BIN)/python -c "from importlinter.cli import lint_imports_command as check; check()" --no-logo

ui: .venv/made
	@$(BIN)/python -c "from src.record.tracking import announce; announce()"
	@case "$$MLFLOW_TRACKING_URI" in http*) ;; *) \
	  echo "Ctrl-C ends it."; PYTHONWARNINGS=ignore MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false $(BIN)/python -m mlflow ui --host 127.0.0.1 --workers 1 \
	  --uvicorn-opts "--log-level critical" --backend-store-uri "$${MLFLOW_TRACKING_URI:-sqlite:///mlruns/mlflow.db}";; esac

docs: .venv/made
	$(BIN)/python -m zensical build --strict --config-file mkdocs.yml
	@echo "Open work/site/index.html; with the search: $(BIN)/python -m http.server --bind 127.0.0.1 --directory work/site"

notebooks: .venv/made
	$(BIN)/python notebooks/execute.py

# After a change of requirements.in. Versions that nothing there rules out stay; for a newer one take its line out of the
# lock first. torch's CPU builds are not where the other files are, so their hash stands above.
RESOLVE := work/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate
lock:
	$(PYTHON) -m venv work/lock
	work/lock/bin/pip install --quiet --disable-pip-version-check uv
	cat requirements.lock requirements-cuda.lock > work/lock/all.txt
	$(RESOLVE) requirements.in --output-file work/lock/all.txt
	$(RESOLVE) requirements-no-deps.in --no-deps >> work/lock/all.txt
	sed -i 's/^torch==.*/&\n    --hash=sha256:$(TORCH_CPU) \\/' work/lock/all.txt
	awk '/^[a-z]/ {file = /^(cuda|nvidia|triton)/ ? "requirements-cuda.lock" : "requirements.lock"} {print > file}' work/lock/all.txt

clean:
	rm -rf .venv
