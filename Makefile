# The commands of the book.  `make book` and `make test` need nothing but git, make, a C compiler and
# Python 3.11 or later on Debian 12 or 13, or Ubuntu 24.04: they install the rest.

SHELL := /bin/bash
bin := .venv/bin
export OMP_NUM_THREADS := 1
export EDITION
unexport PYTHONPATH PYTHONHOME PYTHONWARNINGS PYTHONOPTIMIZE PYTHONINSPECT
students := $(filter students,$(EDITION))
ifneq ($(filter-out full students,$(EDITION)),)
$(error EDITION: expected full or students, got '$(EDITION)')
endif

.PHONY: help book pdf test test-mpi test-pdf test-variations test-mutants lint links serve lab bench bench-growth clean setup requirements

help:
	@echo 'make book          build the site, _build/html/index.html'
	@echo 'make book EDITION=students       without the solutions, in _build/students/_build/html'
	@echo 'make pdf           typeset the book, _build/html/book.pdf; the site offers it when it is built next'
	@echo 'make test          run the chapters that have changed, check every number, and lint'
	@echo 'make test-mpi      run every Firedrake chapter on 1 and on 2 ranks, check the same numbers'
	@echo 'make test-pdf      typeset a small book with one of everything, and read it'
	@echo 'make test-variations    what a reader would change in each chapter (CHAPTERS=...)'
	@echo 'make test-mutants       deliberate mistakes, and which rows of the ledger catch them (CHAPTERS=...)'
	@echo 'make lint          what ruff, codespell, hadolint and zizmor say of code, text and workflow'
	@echo 'make links         ask for every address that the book links to'
	@echo 'make serve         show the site; build it again, and reload, when a page is saved (PORT=...)'
	@echo 'make lab           the chapters as notebooks, in JupyterLab (PORT=...)'
	@echo 'make bench         time, memory and page weight of each chapter (COMPARE=REV: against another revision)'
	@echo 'make bench-growth  how the cost of each chapter grows with its size (CHAPTERS=...)'
	@echo 'make clean         forget the site and every execution'
	@echo 'make requirements  compile requirements.txt from requirements.in'

# The site executes the chapters.
book: setup
	$(bin)/jupyter-book build -W -n --keep-going --path-output $(if $(students),_build/students,.) .
	$(bin)/python tools/offline.py

# With Debian's TeX Live, which nothing else needs.
pdf test-pdf: lists := tex.txt
pdf: setup
	$(bin)/python tools/execute.py
	$(bin)/python tools/printing.py

test: setup lint
	$(bin)/python -m pytest tests

# A chapter is the same script on any number of ranks, and interrupted ones resume: about an hour.
test-mpi: setup
	$(bin)/python -m pytest tests -m mpi

# A small book with one of everything is typeset, and read back.
test-pdf: setup
	$(bin)/python -m pytest tests -m pdf

# Every change and every mistake of the lists in tests/, two at once: the better part of an hour each.
test-variations: setup
	$(bin)/python tools/variations.py $(CHAPTERS)

test-mutants: setup
	$(bin)/python tools/mutants.py $(CHAPTERS)

lint: setup
	$(bin)/ruff check --quiet .
	$(bin)/ruff format --check --quiet .
	$(bin)/python tools/check_cells.py
	$(bin)/codespell
	$(bin)/hadolint binder/Dockerfile
	$(bin)/zizmor --offline --quiet .github

links: setup
	$(bin)/jupyter-book build --builder linkcheck .

serve: book
	$(bin)/python tools/serve.py $(or $(PORT),8000)

# With the settings that Binder has: a chapter opens as a notebook.
lab: setup
	JUPYTER_CONFIG_PATH=binder/jupyter $(bin)/jupyter lab --allow-root --port $(or $(PORT),8888)

bench: setup
	@$(bin)/python tools/bench.py $(if $(COMPARE),--compare $(COMPARE)) $(CHAPTERS)

bench-growth: setup
	$(bin)/python tools/growth.py $(CHAPTERS)

setup:
	@tools/setup.sh $(lists)

requirements: setup
	$(bin)/uv pip compile --quiet --universal --python-version 3.11 --no-header requirements.in -o requirements.txt

clean:
	rm -rf _build
