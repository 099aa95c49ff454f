# Everything starts here: `make` lists the targets. Each target makes what it needs in .venv and build, once.

PYTHON ?= $(firstword $(foreach p,python3 python3.14 python3.13 python3.12 python3.11 python3.10,\
	$(shell $(p) -c 'import sys; sys.version_info >= (3, 10) and print("$(p)")' 2>/dev/null)))
VENV := .venv
BIN := $(VENV)/bin
# A stamp is written when its step is complete, so an interrupted set-up is taken up again.
# The folder's path is in the names, since a virtual environment does not survive being moved.
HERE := $(shell pwd | cksum | cut -d' ' -f1)
MADE := $(VENV)/made-$(HERE)
TOOLS := $(VENV)/tools-$(HERE)
TESTS := $(VENV)/tests-$(HERE)
MUTATION := $(VENV)/mutation-$(HERE)
FLASHER := $(VENV)/flasher-$(HERE)
WASM := build/wasm/ready
STUBS := build/stubs/ready
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check

.PHONY: help setup demo test long lint size fuzz model mutation soak series adversary figures proof firmware debian clean
.DEFAULT_GOAL := help

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: $(TESTS) $(FLASHER) $(STUBS) $(WASM) ## make .venv and fetch the MicroPython runtimes; the command is then .venv/bin/swarm

demo: $(TOOLS) ## start five MicroPython nodes and watch them agree and sample together
	$(BIN)/swarm demo

walkthrough: $(TOOLS) ## run the README's walk-through on virtual boards and compare them; WRITE=1 writes it there
	$(BIN)/swarm walkthrough $(if $(WRITE),--write)

picture: $(TOOLS) ## take the README's picture of `swarm monitor` anew, of virtual boards
	@$(BIN)/python -m swarm.documents.screenshot $(if $(SEED),--seed $(SEED))

# Most tests wait for boards most of the time, so that more of them than there are processors run at once. Those of a file
# share their boards, and stay together.
WORKERS := $(shell echo $$(( $$(nproc 2>/dev/null || echo 2) + 4 )))

TESTED := $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

test: $(TESTS) $(WASM) lint debian ## lint, then run every test on CPython and both MicroPython runtimes
	$(TESTED) --cov

long: $(TESTS) $(WASM) debian ## run the tests that take long, which `make test` leaves out
	$(TESTED) -m long

lint: $(TESTS) $(STUBS) ## ruff, and type checks of the device code against MicroPython's stubs
	$(BIN)/ruff check .
	$(BIN)/python -m swarm.runtimes.stubs check

# QEMU and the micro:bit's firmware are Debian packages: on a CI machine they are installed, and the tests require them.
# Elsewhere the tests that need them are skipped, and name this command.
DEBIAN := qemu-system-arm firmware-microbit-micropython
debian:
	@if [ -n "$$CI" ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && ! dpkg -s $(DEBIAN) >/dev/null 2>&1; then \
		echo "Installing the Debian packages $(DEBIAN)"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $(DEBIAN) >/dev/null; fi

size: $(TESTS) $(WASM) ## measure the device code's size and memory against their limits
	@$(BIN)/swarm size

fuzz: $(TESTS) $(WASM) ## fuzz all that takes bytes from outside, and nodes on every runtime; FRAMES=1000000, SEED=N repeats a run
	@$(BIN)/python -m swarm.proof.fuzz --frames $(or $(FRAMES),1000000) $(if $(SEED),--seed $(SEED))

adversary: $(TOOLS) ## attack SEEDS=20000 simulated swarms, with and without the key: takes five minutes
	@$(BIN)/python -m swarm.sim.attack --seeds $(or $(SEEDS),20000)

model: $(TOOLS) ## meet every state that two or three real nodes, or their rounds, can get into within bounds: takes some minutes
	@$(BIN)/python -m swarm.proof.model

series: $(TOOLS) ## NODES=8 virtual boards sample each PERIOD=1000 ms for MINUTES=10, with power cuts: each record is there once
	@$(BIN)/python -m swarm.proof.series --nodes $(or $(NODES),8) --minutes $(or $(MINUTES),10) \
		--period $(or $(PERIOD),1000) $(if $(SEED),--seed $(SEED))

soak: $(TOOLS) ## NODES=16 virtual boards live MINUTES=60 through reboots, power cuts and bad air; SEED=N repeats them
	@$(BIN)/python -m swarm.proof.soak --nodes $(or $(NODES),16) --minutes $(or $(MINUTES),60) $(if $(SEED),--seed $(SEED))

mutation: $(MUTATION) ## change what decides in 3,000 small ways, of which the tests must notice 95 %; takes a quarter of an hour
	@$(BIN)/python -m swarm.proof.mutation $(MODULES)

proof: $(MUTATION) $(WASM) ## every long form, and the tests that take minutes; takes two hours, and tells how long each took
	@for form in figures adversary model fuzz soak series mutation long; do \
		start=$$(date +%s); \
		$(MAKE) --no-print-directory $$form || exit 1; \
		echo "proof: $$form took $$(( $$(date +%s) - start )) s"; \
	done

figures: $(TESTS) $(WASM) ## run the full campaigns and print every figure beside its bar; WRITE=1 writes them into FIGURES.md
	@$(BIN)/python -m swarm.proof.figures $(if $(WRITE),--write)

firmware: $(TOOLS) ## build firmware with the node frozen in: make firmware BOARD=RPI_PICO MICROPY_DIR=...
	@$(BIN)/python -m swarm.flash.build --board '$(BOARD)' --micropython '$(MICROPY_DIR)'

clean: ## remove .venv, build and all caches
	rm -rf $(VENV) build .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage tools/*.egg-info dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(MADE):
	@if [ -z "$(PYTHON)" ]; then \
		echo "Python 3.10 or newer is needed and no python3 here is: apt-get install python3, or make PYTHON=/path/to/python3" >&2; exit 1; fi
	@if ! $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))'; then \
		echo "$(PYTHON) is not Python 3.10 or newer: name one that is, make PYTHON=/path/to/python3" >&2; exit 1; fi
	@if ! $(PYTHON) -c 'import venv, ensurepip' 2>/dev/null; then \
		echo "$(PYTHON) cannot make virtual environments: apt-get install python3-venv" >&2; exit 1; fi
	@echo "Making the virtual environment $(VENV) with $(PYTHON)"
	@$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(TOOLS): $(MADE) pyproject.toml
	@echo "Installing the swarm command and MicroPython (unix port) from PyPI"
	@$(PIP) install --editable .
	@touch $@

$(TESTS): $(TOOLS)
	@echo "Installing the test tools from PyPI"
	@$(PIP) install --editable '.[test,mqtt]'
	@touch $@

$(MUTATION): $(TESTS)
	@echo "Installing the mutation tester from PyPI"
	@$(PIP) install --editable '.[mutation]'
	@touch $@

$(FLASHER): $(TOOLS)
	@echo "Installing mpflash, which fetches official firmware for swarm flash, from PyPI"
	@$(PIP) install --editable '.[firmware]'
	@touch $@

$(STUBS): $(TOOLS) tools/swarm/runtimes/stubs.py
	@echo "Fetching MicroPython's type stubs from PyPI into build/stubs"
	@$(BIN)/python -m swarm.runtimes.stubs install
	@touch $@

$(WASM): tools/swarm/runtimes/wasm/package.json tools/swarm/runtimes/wasm/install.py $(TOOLS)
	@$(BIN)/python -m swarm.runtimes.wasm.install
	@touch $@
