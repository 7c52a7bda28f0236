# One command per chore. Each chore has an environment of its own under .venv/, made on first use from
# requirements/<chore>.txt and made again when that file or pyproject.toml changes; repeat runs start at once.

PYTHON ?= python3
PYTEST_ARGS ?=
BENCH_ARGS ?=

.PHONY: help tour test test-long bench lint docs deck clean
.DELETE_ON_ERROR:
.PRECIOUS: .venv/%/installed

help:
	@echo "make tour       see what kernelwise does"
	@echo "make test       the tests (PYTEST_ARGS=... is passed on to pytest)"
	@echo "make test-long  the tests that take minutes"
	@echo "make bench      speed beside OpenCV, SciPy, scikit-image and PyTorch (BENCH_ARGS=--full for all)"
	@echo "make lint       style and types"
	@echo "make docs       the pages, into docs/_build/html"
	@echo "make deck       convolution in four steps, as slides, into docs/_build/deck"
	@echo "make clean      remove everything that make made"
	@echo "Another Python: make PYTHON=python3.12 ... (after make clean)"

tour: .venv/tour/installed
	@.venv/tour/bin/kernelwise tour

test: .venv/test/installed
	@.venv/test/bin/python -m pytest -q -n auto --maxprocesses 4 $(PYTEST_ARGS)

test-long: .venv/test/installed
	@.venv/test/bin/python -m pytest -q -m long --timeout 3600 $(PYTEST_ARGS)

bench: .venv/bench/installed
	@.venv/bench/bin/kernelwise bench $(BENCH_ARGS)

lint: .venv/lint/installed
	@PATH="$(CURDIR)/.venv/lint/bin:$$PATH"; status=0; \
	ruff check --output-format concise || status=1; \
	ruff format --check --output-format concise || status=1; \
	mypy || status=1; \
	exit $$status

docs: .venv/docs/installed
	@.venv/docs/bin/sphinx-build --quiet --fail-on-warning --keep-going --fresh-env --builder html docs docs/_build/html
	@echo "docs/_build/html/index.html"

deck: .venv/deck/installed
	@PATH="$(CURDIR)/.venv/deck/bin:$$PATH" .venv/deck/bin/python -m nbconvert --log-level WARN --execute --to slides \
	    --output-dir docs/_build/deck examples/deck/deck.ipynb
	@echo "docs/_build/deck/deck.slides.html"

clean:
	rm -rf .venv build dist docs/_build .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find src tests docs benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

# Twice quiet: pip says nothing but errors.
.venv/%/installed: requirements/%.txt requirements/torch.txt pyproject.toml src/kernelwise/version.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "kernelwise needs Python 3.11 or newer, and '$(PYTHON)' is not: choose one with make PYTHON=..." >&2; \
	    $(PYTHON) --version >&2; exit 1; }
	@echo "Preparing .venv/$* (once) ..."
	@$(PYTHON) -m venv .venv/$*
	@.venv/$*/bin/python -m pip install -qq --disable-pip-version-check -r $<
	@touch $@
