# vidgraph: the two commands of the README, and what contributors use.
#
#   make demo [OUT=folder] [ARGS=…]
#   make demo VIDEO=path [MODEL=name] [WEIGHTS=path] [OUT=folder] [ARGS=…]
#   make test [TESTS=path] [PYTEST_ARGS=…]
#   make sanitize [PYTEST_ARGS=…]
#
# Everything is installed into .venv. A step is done again only when the sources it depends on
# changed: its stamp is named after a hash of them.

SHELL := /bin/sh
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
MODEL ?=
WEIGHTS ?=
VIDEO ?=
OUT ?= out
ARGS ?=
TESTS ?= tests
WORKERS ?= 2
PYTEST_ARGS ?=
export PYTHON MODEL WEIGHTS VIDEO OUT TESTS

PACKAGE := __init__.py __main__.py _version.py py.typed CMakeLists.txt pyproject.toml benchmarks cli engines kernels models pipeline stages testing training
SOURCES := $(shell find $(PACKAGE) -type f ! -name '*.so' ! -name '*.pyc' 2>/dev/null | LC_ALL=C sort)
HASH := $(shell cat $(SOURCES) /dev/null | cksum | tr ' ' '-')-$(words $(SOURCES))
STAMPS := .venv/stamps
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
WHEEL = $$(ls build/wheel/vidgraph-*.whl)

.PHONY: help demo test sanitize lint docs wheel install machine video clean

help:
	@echo 'make demo                            find things in a synthetic street: annotated video and JSON lines in out/'
	@echo 'make demo VIDEO=path [WEIGHTS=path]  find people, cars, … in a video: annotated video and JSON lines in out/'
	@echo 'make test                            install the package and run all tests'
	@echo 'make sanitize                        run the tests of the kernels with address and undefined-behaviour sanitizers'
	@echo 'make lint                            format, lint, types and layers'
	@echo 'make docs                            write the generated pages of docs/ again'
	@echo 'make clean                           remove .venv, build and caches'

# What the machine must have; one line says what is missing.
machine:
	@command -v "$$PYTHON" >/dev/null || { echo "make: no $$PYTHON here. On Debian: apt install python3-dev python3-venv (or set PYTHON=/path/to/python3)" >&2; exit 1; }
	@"$$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: vidgraph needs Python 3.11 or later, $$PYTHON is $$("$$PYTHON" -V 2>&1). Set PYTHON=/path/to/python3" >&2; exit 1; }
	@"$$PYTHON" -c 'import ensurepip, venv' 2>/dev/null || { echo "make: $$PYTHON has no venv. On Debian: apt install python3-venv" >&2; exit 1; }
	@"$$PYTHON" -c 'import pathlib, sys, sysconfig; sys.exit(not pathlib.Path(sysconfig.get_path("include"), "Python.h").exists())' || { echo "make: $$PYTHON has no headers (Python.h). On Debian: apt install python3-dev" >&2; exit 1; }
	@command -v "$${CXX:-c++}" >/dev/null || { echo "make: no C++ compiler ($${CXX:-c++}) here. On Debian: apt install build-essential" >&2; exit 1; }

video: machine
	@test -n "$$VIDEO" || test -z "$$WEIGHTS$$MODEL" || { echo "make: say for which video: make demo VIDEO=path/to/video.mp4 MODEL=… WEIGHTS=…" >&2; exit 2; }
	@test -z "$$VIDEO" || test -e "$$VIDEO" || { echo "make: no such video: $$VIDEO" >&2; exit 2; }
	@test -z "$$WEIGHTS" || test -e "$$WEIGHTS" || { echo "make: no such weights: $$WEIGHTS" >&2; exit 2; }

$(BIN)/python: | machine
	@echo 'make: making .venv'
	@"$$PYTHON" -m venv .venv

$(STAMPS)/wheel-$(HASH): | $(BIN)/python
	@echo 'make: building the wheel'
	@rm -rf build/wheel && mkdir -p build/wheel $(STAMPS)
	@$(PIP) wheel --quiet --no-deps --wheel-dir build/wheel .
	@$(PIP) install --quiet --force-reinstall --no-deps "$(WHEEL)"
	@rm -f $(STAMPS)/* && touch "$@"

$(STAMPS)/base-$(HASH): $(STAMPS)/wheel-$(HASH)
	@echo 'make: installing it into .venv'
	@$(PIP) install --quiet "$(WHEEL)"
	@touch "$@"

# A .pth checkpoint needs torch once, to become ONNX. A torch that is in .venv already is kept.
$(STAMPS)/torch-$(HASH): $(STAMPS)/base-$(HASH)
	@$(BIN)/python -c 'import torch' 2>/dev/null || \
	{ echo 'make: installing torch, which reads the checkpoint'; $(PIP) install --quiet "$(WHEEL)[torch]"; }
	@touch "$@"

$(STAMPS)/test-$(HASH): $(STAMPS)/base-$(HASH)
	@echo 'make: installing what the tests use'
	@$(PIP) install --quiet "$(WHEEL)[test]"
	@touch "$@"

wheel: $(STAMPS)/wheel-$(HASH)
install: $(STAMPS)/base-$(HASH)

# The synthetic street comes with a model; networks that are described in models/published/ need no torch either.
REAL_MODEL := deimv2-femto
NEEDS_TORCH := $(if $(filter %.pth %.pt,$(WEIGHTS)),torch,$(if $(WEIGHTS)$(wildcard models/published/$(or $(MODEL),$(REAL_MODEL)).toml),base,torch))

demo: video $(STAMPS)/$(NEEDS_TORCH)-$(HASH)
	@set -e; mkdir -p "$$OUT"; \
	if [ -z "$$VIDEO" ]; then name=street; set -- synth:street; \
	else name=$$(basename "$$VIDEO"); name=$${name%.*}; \
	  model="$${MODEL:-$(REAL_MODEL)}"; \
	  if [ -n "$$WEIGHTS" ]; then model="$$model=$$WEIGHTS"; else $(BIN)/vidgraph pull "$$model"; fi; \
	  set -- "$$VIDEO" --model "$$model"; \
	fi; \
	$(BIN)/vidgraph run "$$@" $(ARGS) -y -o "$$OUT/$$name.mp4" -o "$$OUT/$$name.jsonl"; \
	echo "wrote $$OUT/$$name.mp4 and $$OUT/$$name.jsonl"

test: machine $(STAMPS)/test-$(HASH)
	$(BIN)/python -P -m pytest --import-mode=importlib --confcutdir=tests -n $(WORKERS) $(PYTEST_ARGS) "$$TESTS"

# The kernels compiled so that whatever C++ leaves undefined ends the process, under the checkout's Python files. Python is
# not compiled so, hence the address sanitizer is loaded before it; with the C++ library, whose exceptions it follows. What
# the sanitizers say goes past pytest's capture, which would be lost with the process.
SANITIZED := build/sanitized
CXX_LIBRARY = $$("$${CXX:-c++}" -print-file-name=$(1))
SANITIZER_ENV = LD_PRELOAD="$(call CXX_LIBRARY,libasan.so) $(call CXX_LIBRARY,libstdc++.so)" PYTHONPATH="$(CURDIR)/$(SANITIZED)/site" \
	UBSAN_OPTIONS=print_stacktrace=1 \
	ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1:max_allocation_size_mb=8192

sanitize: machine $(STAMPS)/test-$(HASH)
	@test -e "$(call CXX_LIBRARY,libasan.so)" || { echo "make: the compiler ($${CXX:-c++}) has no address sanitizer. On Debian: apt install g++" >&2; exit 1; }
	@echo 'make: compiling the kernels with sanitizers'
	@mkdir -p $(SANITIZED)
	@{ PATH="$(CURDIR)/$(BIN):$$PATH"; cmake -S . -B $(SANITIZED)/objects -G Ninja -DCMAKE_BUILD_TYPE=Debug \
	  -DPython_EXECUTABLE="$(CURDIR)/$(BIN)/python" -DVIDGRAPH_SANITIZE=address,undefined -DVIDGRAPH_CUDA=OFF && \
	  cmake --build $(SANITIZED)/objects --parallel $(WORKERS); } >$(SANITIZED)/log 2>&1 || { cat $(SANITIZED)/log >&2; exit 1; }
	@rm -rf $(SANITIZED)/site && mkdir -p $(SANITIZED)/site/vidgraph
	@cp -R __init__.py __main__.py _version.py py.typed benchmarks cli engines kernels models pipeline stages testing training $(SANITIZED)/site/vidgraph
	@rm -f $(SANITIZED)/site/vidgraph/kernels/*.so && cp $(SANITIZED)/objects/_native*.so $(SANITIZED)/site/vidgraph/kernels
	@set -e; for isa in baseline avx2 avx512; do \
	  used=$$(env $(SANITIZER_ENV) VIDGRAPH_ISA=$$isa $(BIN)/python -P -c 'import vidgraph.kernels as k; print(k.instruction_set())'); \
	  if [ "$$used" != "$$isa" ]; then echo "make: $$isa is left out: this processor does not have it"; continue; fi; \
	  echo "make: the tests of the kernels with sanitizers, $$isa"; \
	  left_out='$(foreach name,cuda_mutants cuda_sources emulator,--deselect tests/kernels/test_$(name).py)'; \
	  [ "$$isa" = baseline ] || left_out="$$left_out --deselect tests/kernels/test_cuda_kernels.py"; \
	  env $(SANITIZER_ENV) VIDGRAPH_ISA=$$isa $(BIN)/python -P -m pytest --import-mode=importlib --confcutdir=tests --capture=sys \
	    -n $(WORKERS) -q $$left_out $(PYTEST_ARGS) tests/kernels; \
	done

lint: machine $(STAMPS)/test-$(HASH)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m mypy -p vidgraph
	$(BIN)/lint-imports --no-logo
	$(BIN)/python docs/generate.py --check

docs: machine $(STAMPS)/test-$(HASH)
	$(BIN)/python docs/generate.py

clean:
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
