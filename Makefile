# Each target makes .venv and installs what it needs when that is missing or out of date.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help demo test test-quick test-quick-data test-quick-rest test-training test-device test-models test-faults test-live test-gpu test-arm64 test-interop bundled-model check lint types imports wheel format clean

help:
	@echo "make demo     train, export, stream and benchmark on drawn scenes; results in demo/"
	@echo "make test-quick  the tests that need no process, no TensorFlow and no device: run it first"
	@echo "make test     run the test suite"
	@echo "make test-models  train and export every architecture on every encoder: some ten minutes"
	@echo "make test-faults  faults and fuzzed inputs of every sort, judged: up to half an hour"
	@echo "make test-live    the live page in Chromium, and ten minutes of it without growth"
	@echo "make test-gpu     tests and times on an NVIDIA GPU, 8 minutes at most; fails where there is none"
	@echo "make test-arm64   the Jetson installer on an emulated aarch64 system, as root: some ten minutes"
	@echo "make test-interop   fills figures as LabelMe and datumaro do, in an environment of its own (1.2 GB)"
	@echo "make bundled-model  train the model that comes with edgeseg, on drawn scenes: some minutes"
	@echo "make check    format, lint, types, import rules, the wheel in a bare environment, tests"
	@echo "make format   format the code"
	@echo "make clean    remove .venv, builds, caches and demo/"

demo: $(READY)
	$(BIN)/edgeseg demo --out demo

# Two processes side by side, of about the same length. tests/quick.py says which tests these are.
test-quick: $(READY)
	@$(MAKE) --no-print-directory --jobs 2 --output-sync=target test-quick-data test-quick-rest

test-quick-data: $(READY)
	$(BIN)/pytest --quick tests/edgeseg/core tests/edgeseg/data tests/edgeseg/models

test-quick-rest: $(READY)
	$(BIN)/pytest --quick --ignore=tests/edgeseg/core --ignore=tests/edgeseg/data --ignore=tests/edgeseg/models

# Two processes side by side: one computes, the other mostly waits.
test: $(READY)
	@$(MAKE) --no-print-directory --jobs 2 --output-sync=target test-training test-device

test-training: $(READY)
	$(BIN)/pytest --ignore=tests/jetson --ignore=tests/runtime

test-device: $(READY)
	$(BIN)/pytest tests/jetson tests/runtime

test-models: $(READY)
	$(BIN)/pytest -m "models or not models" tests/edgeseg/models

test-faults: $(READY)
	$(BIN)/pytest -m "faults or not faults" tests/runtime/capture/test_faults.py tests/faults
	$(BIN)/python -m tests.faults

# Chromium is the system's: apt-get install chromium. Without it the tests of the page are skipped by name, here they fail.
test-live: $(READY)
	EDGESEG_NEEDS_BROWSER=1 $(BIN)/pytest -m "faults or not faults" tests/runtime/sinks/test_live_server.py \
	  tests/runtime/sinks/test_live_page.py tests/runtime/sinks/test_live_growth.py

test-gpu: $(READY)
	$(BIN)/python benchmarks/on_gpu.py $(MODELS)

test-arm64: $(READY)
	$(BIN)/pytest -m "faults or not faults" tests/jetson
	$(BIN)/python -m tests.jetson.arm64

# LabelMe (GPL) and datumaro are only ever installed here, beside edgeseg's base.
INTEROP := .interop
test-interop: $(INTEROP)/.ready
	$(INTEROP)/bin/python -m tests.labelling_tools

$(INTEROP)/.ready: pyproject.toml Makefile
	rm -rf $(INTEROP)
	$(PYTHON) -m venv $(INTEROP)
	$(INTEROP)/bin/pip install --quiet --editable . 'labelme==6.3.1' 'datumaro==1.13.12'
	touch $(INTEROP)/.ready

# Every setting of its training that counts is here: the defaults may change.
bundled-model: $(READY)
	rm -rf runs/bundled
	$(BIN)/edgeseg train --data "scenes:train=1500,val=60,test=100,size=320x192" --out runs/bundled \
	  --model fcn8 --encoder compact --width 0.4 --upsampling-kernel dense --size 320x192 --train-size 320x192 --dropout 0 --loss cross_entropy --class-balance none \
	  --epochs 12 --batch 4 --learning-rate 0.003 --ema 0.99 --weight-decay 1e-4 --scale-min 1 --scale-max 1.3 \
	  --brightness 0.1 --contrast 0.1 --saturation 0 --hue 0 --white-balance 0 --blur 0 --rotation 0 --validate-every 3 --seed 0
	$(BIN)/edgeseg export runs/bundled --onnx runtime/bundled/scenes.onnx --camera-size 1280x720
	rm runtime/bundled/scenes.onnx.spec.json runtime/bundled/scenes.onnx.card.md
	$(BIN)/edgeseg evaluate runtime/bundled/scenes.onnx --data "scenes:train=1500,val=60,test=100,size=320x192" --split test

check: lint types imports wheel test

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(READY)
	$(BIN)/mypy

imports: $(READY)
	$(BIN)/lint-imports

wheel: $(READY)
	$(BIN)/python -m tests.bare_environment

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) $(INTEROP) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis demo

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if (3, 10) <= v < (3, 13) else f"{sys.executable} is Python {v.major}.{v.minor}; expected 3.10, 3.11 or 3.12: make PYTHON=python3.11 ...")'
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev,cpu]'
	touch $(READY)
