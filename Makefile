# The two commands a new machine needs: `make run` and `make test`. Each installs what it uses.
VENV ?= .venv
PYTHON ?= python3.11
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt
SOURCES := inpaint inpaint_client serve_app deployments tests benchmarks examples k8s tools main.py

# Ray reports usage to its makers unless told not to.
export RAY_USAGE_STATS_ENABLED ?= 0
export RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH ?= serve_app.proxy:layers

.PHONY: run test chaos check audit format bench k8s clean

run: $(VENV)/.run
	$(BIN)/serve run serve_config.yaml

test: $(VENV)/.test
	$(BIN)/python -m pytest

# Faults, overload, 12,500 bad inputs and the soak: an hour. What docs/reliability.md tells.
chaos: $(VENV)/.test
	mkdir -p benchmarks/results
	FAULTS_TABLE=benchmarks/results/faults.md $(BIN)/python -m pytest tests/faults -m faults
	FUZZ_TABLE=benchmarks/results/fuzz.md $(BIN)/python -m pytest tests/fuzz tests/clusters -m chaos
	$(BIN)/python -m benchmarks.overload
	$(BIN)/python -m benchmarks.soak

check: $(VENV)/.check
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/python -m tools.audit

# Known vulnerabilities of the pinned versions; says so where no advisory service can be reached.
audit: $(VENV)/.check
	$(BIN)/python -m tools.audit

format: $(VENV)/.check
	$(BIN)/ruff check --fix-only $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

bench: $(VENV)/.test
	$(BIN)/python -m benchmarks.latency

# The Serve config inside each overlay's RayService.
k8s: $(VENV)/.run
	$(BIN)/python -m k8s.generate
	$(BIN)/python -m k8s.dashboard

# What is installed is recorded by one file for each purpose, so that nothing is installed twice.
$(VENV)/.run: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -e '.[erase,ocr,client]'
	@$(BIN)/python -c 'import cv2' || { \
	  echo "OpenCV needs two system libraries: apt-get install -y libgl1 libglib2.0-0" >&2; exit 1; }
	@touch $@

$(VENV)/.test: $(VENV)/.run
	$(PIP) -e '.[erase,ocr,test]'
	@touch $@

$(VENV)/.check: $(VENV)/.run
	$(PIP) -e '.[erase,ocr,test,dev]'
	@touch $@

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

clean:
	rm -rf $(VENV)
