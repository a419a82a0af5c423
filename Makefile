# Two commands set everything up: `make demo` runs the main job (`make demo-detection` that of detectors), `make test`
# runs the tests.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo demo-detection test lint clean

demo: $(STAMP)
	$(BIN)/python examples/demo.py --out out/demo

demo-detection: $(STAMP)
	$(BIN)/python examples/demo_detection.py --out out/demo-detection

test: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile
	$(BIN)/ruff check .
	$(BIN)/mypy

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	$(BIN)/python -m compileall -q routespace
	touch $(STAMP)

clean:
	rm -rf $(VENV) out build dist *.egg-info
