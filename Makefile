# make book    the executed book, at _build/html/index.html
# make check   the quick part for daily work, in a minute and a half: lint, layers, types, the core of the unit tests
# make core    its unit tests alone, for another Python: make core PYTHON=python3.13 VENV=.venv-3.13
# make test    everything that must hold: lint, layers, types, unit tests, every notebook, a strict book build
# make browser  live pictures and every page of the book, once built, in the system's Chromium (installs Playwright, Biome)
# make lab     JupyterLab on the chapters
# make torch   add PyTorch and scikit-learn to .venv: swref.optim, its tests, and two benchmarks need them
# make bench   the benchmarks against their peers; flows.py and optim.py are skipped without PyTorch
# make figures run the full experiments and store the figures and numbers that pages show (an hour; needs PyTorch)
# make macros  copy the mathematics macros of _config.yml into every notebook, for JupyterLab
# make package  wheel and sdist in dist/, checked, and used in an environment of their own (needs a network, no .venv)
# make lock    requirements.txt anew from pyproject.toml (needs uv)
# make clean   remove builds and caches, keep .venv
#
# Every target first makes .venv from requirements.txt, once. Another Python: make PYTHON=python3.12 ...

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup torch book check core test lint browser lab bench figures macros package lock clean

PYTHON ?= python3
VENV := .venv
NOTEBOOKS := $(wildcard book/*.ipynb)

# Compiled kernels are kept between runs, and two notebooks at a time share two cores best with one thread each.
export NUMBA_CACHE_DIR ?= $(CURDIR)/.cache/numba
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1
PATH_BEFORE := $(PATH)
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
unexport PYTHONPATH MPLBACKEND

# Chapters run without the reader's own IPython startup files, and without its note that local kernels use TCP.
book test: export IPYTHONDIR := $(CURDIR)/.cache/ipython

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

setup: $(VENV)/.stamp

$(VENV)/.stamp: export PATH := $(PATH_BEFORE)
$(VENV)/.stamp: requirements.txt
	@command -v $(PYTHON) >/dev/null || { echo "make: $(PYTHON) not found: install Python 3.11, 3.12 or 3.13, or say make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || { echo "make: $(PYTHON) is $$($(PYTHON) -V 2>&1), but 3.11, 3.12 or 3.13 is needed: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "make: $(PYTHON) has no venv module: install it (Debian and Ubuntu: apt install python3-venv)" >&2; exit 1; }
	@echo "Making .venv from requirements.txt (a few minutes, once)"
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV)
	@PYTHONUNBUFFERED=1 $(VENV)/bin/python -m pip install --disable-pip-version-check --progress-bar off -r requirements.txt \
	  | grep --line-buffered -oE '^(Collecting [^ ]+|Installing collected packages|Building wheels)'
	@touch $@

torch: $(VENV)/.torch

# On Linux pip takes the build for CUDA, some gigabytes. The one for CPUs:
# PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu make torch
$(VENV)/.torch: requirements-torch.txt $(VENV)/.stamp
	@$(VENV)/bin/python -m pip install --disable-pip-version-check --quiet -r requirements-torch.txt
	@touch $@

IPYTHON_CONFIG := .cache/ipython/profile_default/ipython_kernel_config.py
$(IPYTHON_CONFIG):
	@mkdir -p $(dir $@)
	@echo 'c.IPKernelApp.log_level = "ERROR"' > $@

# Sphinx forgets the warnings of pages it read in an earlier, failed run: after one, it must read everything again.
book: setup $(IPYTHON_CONFIG)
	@if [ -e _build/.unfinished ]; then rm -rf _build/.doctrees; fi
	@mkdir -p _build && touch _build/.unfinished
	@jupyter-book build . -W -n --keep-going
	@rm _build/.unfinished
	@echo "The book: $(CURDIR)/_build/html/index.html"

lint: setup
	ruff check
	ruff format --check
	lint-imports
	basedpyright

check: lint core

core: setup
	pytest -n 2 -m "not slow" -p no:nbval

# The last line of unit tests: those of threads need a BLAS that has two.
test: lint $(IPYTHON_CONFIG)
	pytest -n 2
	OPENBLAS_NUM_THREADS=2 OMP_NUM_THREADS=2 pytest -q tests/test_session.py
	$(if $(NOTEBOOKS),pytest --nbval-lax -n 2 --dist loadscope book,@echo "no notebooks yet")
	rm -rf _build/.doctrees
	$(MAKE) --no-print-directory book

# Neither Playwright nor Biome brings a browser, and no reader needs them: they are not in requirements.txt.
browser: setup
	@command -v chromium chromium-browser google-chrome >/dev/null || { echo "make: no Chromium found (Debian and Ubuntu: apt install chromium)" >&2; exit 1; }
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -e '.[browser]'
	SWREF_BOOK=_build/html pytest -n 2 --dist loadfile tests/test_live.py tests/test_live_pictures.py tests/test_pages.py tests/test_lab.py
	@echo "Pages as photographed, light, dark and on a phone: $(CURDIR)/_build/screens"

lab: setup
	jupyter lab --notebook-dir=book

bench: setup
	@for script in benchmarks/[a-z]*.py; do echo "== $$script"; python "$$script"; done

figures: setup
	python book/figures.py

macros: setup
	python book/_ext/macros.py

PACKAGING := .cache/packaging
package:
	@rm -rf dist $(PACKAGING)
	@$(PYTHON) -m venv $(PACKAGING)/tools
	@$(PACKAGING)/tools/bin/python -m pip install --quiet --disable-pip-version-check 'build>=1.2,<2' 'twine>=6,<7'
	@$(PACKAGING)/tools/bin/python -m build
	@$(PACKAGING)/tools/bin/python -m twine check --strict dist/*
	@$(PYTHON) -m venv $(PACKAGING)/user
	@$(PACKAGING)/user/bin/python -m pip install --quiet --disable-pip-version-check dist/*.whl
	@cd $(PACKAGING) && user/bin/python -W error -c 'import swref; print(swref.__file__); print(swref.transport([[0, 0]], [[3, 4]], "muon"))'

lock:
	{ echo '# Every package of the book and the tests, pinned. Made by `make lock`; works with plain pip.'; \
	uv pip compile --quiet --universal --fork-strategy fewest --python-version 3.11 --extra book --extra test \
	  --no-header --no-annotate --no-emit-index-url --no-emit-find-links pyproject.toml; \
	echo '-e .'; } > requirements.txt.new
	mv requirements.txt.new requirements.txt

clean:
	rm -rf _build dist build .cache .pytest_cache .hypothesis .ruff_cache .import_linter_cache
