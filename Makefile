# Each target makes .venv and installs what it needs; nothing has to be installed by hand
# but Python 3.10 or newer and a C++17 compiler.
PYTHON ?= python3
BIN    := .venv/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check -q

.DEFAULT_GOAL := help
.PHONY: help demo test check lint bench figures docs wheel runtime clean

help:  ## show this list
	@sed -n 's/^\([a-z]*\):.*##/  make \1 \t/p' $(MAKEFILE_LIST)

# One stamp for the running package, one for the developers' tools: a C++ or project file that
# changes makes both again.
BUILT_FROM := pyproject.toml constraints.txt CMakeLists.txt $(wildcard csrc/*.h csrc/*.cpp csrc/cells/*.h)

.venv/made:
	@command -v $(PYTHON) >/dev/null || { echo "make: Python was not found: install Python 3.10 or newer (Debian: apt install python3 python3-venv python3-dev)"; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "make: $$($(PYTHON) --version) is too old: ostinato needs Python 3.10 or newer (make PYTHON=/path/to/python3)"; exit 2; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "make: this Python cannot make environments: apt install python3-venv"; exit 2; }
	@command -v $${CXX:-c++} >/dev/null || command -v g++ >/dev/null || { echo "make: no C++ compiler was found: install g++ (Debian: apt install g++)"; exit 2; }
	@echo "making .venv"; $(PYTHON) -m venv .venv
	@touch $@

.venv/run: .venv/made $(BUILT_FROM)
	@echo "installing ostinato and what it needs (torch is large: a few minutes the first time)"
	@$(PIP) install -c constraints.txt torch
	@$(PIP) install -c constraints.txt -e '.[stats,text]'
	@touch $@

# All at once where the tools are wanted from the start: each installation builds the extension anew.
.venv/dev: .venv/made $(BUILT_FROM)
	@echo "installing ostinato and the developers' tools (torch is large: a few minutes the first time)"
	@$(PIP) install -c constraints.txt torch
	@$(PIP) install -c constraints.txt -e '.[dev]'
	@touch .venv/run $@

demo: .venv/run  ## forecast the sunspots, baselines beside it; write runs/demo/report.html
	$(BIN)/ostinato forecast --out runs/demo --overwrite

test: .venv/dev  ## the tests (under 10 minutes on two cores; what CI runs)
	$(BIN)/python -m pytest -m "not long"

check: .venv/dev  ## the long proofs: thousands of random cases, kills, a full disk, sanitizers (under 60 minutes)
	$(BIN)/python -m pytest -m long

lint: .venv/dev  ## ruff, mypy, and the floors of the house
	$(BIN)/ruff check src tests benchmarks examples
	$(BIN)/ruff format --check src tests benchmarks examples
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/dev  ## our layers beside other libraries', in turns: writes docs/speed.md (half an hour, alone on the machine)
	@$(PIP) install -c constraints.txt -e '.[bench]'
	$(BIN)/ostinato bench --out docs $(if $(QUICK),--quick)
	$(BIN)/python benchmarks/convolution.py
	$(BIN)/python benchmarks/neighbour.py
	$(BIN)/python benchmarks/words.py
	$(BIN)/python benchmarks/tagging.py

figures: .venv/dev  ## published-data runs: make figures TASK=forecast|classify|tag|generate DATA=folder
	$(BIN)/python benchmarks/figures.py --task $(TASK) --data "$(DATA)" $(if $(ONLY),--only $(ONLY)) $(if $(AGAIN),--again)

docs: .venv/dev  ## build the documentation into build/docs/index.html
	@$(PIP) install -c constraints.txt -e '.[docs]'
	$(BIN)/python docs/pictures.py
	$(BIN)/mkdocs build -q

wheel: .venv/dev  ## build the wheel into dist/
	$(BIN)/python -m build --wheel --outdir dist .

runtime: .venv/dev  ## build the wheel of ostinato-runtime, which needs no torch, into dist/
	$(BIN)/python -m build --wheel --outdir dist runtime

clean:  ## remove everything that was made
	rm -rf .venv build dist runs src/ostinato/*.so .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
