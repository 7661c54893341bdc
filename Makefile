# `python3` decides the version: PYENV_VERSION=3.13.0 make test is a 3.13 run.
SHELL := /bin/sh
PYTHON ?= python3
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip install --quiet --disable-pip-version-check
TOOLS_STAMP := $(VENV)/.tools-$(VERSION)
DEV_STAMP := $(VENV)/.dev-$(VERSION)

.PHONY: install install-dev demo test package lint format types check clean

install: $(TOOLS_STAMP)
install-dev: $(DEV_STAMP)

# A virtual environment of another Python version is replaced, never mixed.
$(VENV)/.python-$(VERSION):
	$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(TOOLS_STAMP): $(VENV)/.python-$(VERSION) requirements.txt requirements-tools.txt
	$(PIP) -r requirements-tools.txt
	@touch $@

$(DEV_STAMP): $(TOOLS_STAMP) requirements-dev.txt requirements-export.txt requirements-trust.txt
	$(PIP) -r requirements-dev.txt
	@touch $@

# MODEL=efficientnet-lite0 PHOTOS=~/Pictures labels your own photos with real words.
demo: install
	@$(PY) -m tools demo $(if $(MODEL),--model "$(MODEL)") $(if $(PHOTOS),--photos "$(PHOTOS)")

# The tests of a class or file stay together, for they share fixtures; each process has an Azurite of its own.
# tests/conftest.py decides the number of processes, and the order: the longest first.
test: install-dev
	@$(PY) -m pytest --numprocesses auto --dist loadscope --no-loadscope-reorder

# The zip for Azure; MODEL=path/to/my-model packs another model than the sample, HEIC=no leaves pillow-heif out.
package: install
	@$(PY) -m tools package $(if $(MODEL),--model "$(MODEL)") $(if $(filter no,$(HEIC)),--no-heic)

lint: install-dev
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

format: install-dev
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

types: install-dev
	$(PY) -m mypy
	$(PY) -m mypy --platform win32 --cache-dir .mypy_cache/win32 function_app.py inference storage tools

check: lint types test

clean:
	rm -rf $(VENV) .azurite .demo .cache blob-image-classifier.zip .blob-image-classifier.zip.partial
