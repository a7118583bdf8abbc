# `make help` says what there is.
PYTHON ?= /usr/bin/python3
GUESTS := debian12 debian13

# The virtual environment is brought up to date when pyproject.toml changes.
VENV := .venv
READY := $(VENV)/ready-$(shell sha256sum pyproject.toml | cut -c -12)

.DEFAULT_GOAL := help
.PHONY: help check test soak storm demo screenshots bench apt pip deb docs pot po release venv clean setup-check setup-deb setup-release

help: ## Say what each target does (the default)
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-11s  %s\n", $$1, $$2 }' Makefile

check: setup-check venv deb ## Lint, type-check and test on this host, in a few minutes (options: PYTEST="-k NAME")
	$(VENV)/bin/pytest --numprocesses=auto --dist=loadfile $(PYTEST)

test: ## Test it all: `make check`, then the lab's suite in Debian 12 and 13: 40 to 55 minutes (WHOLE=1: all of it in each, two hours)
	@failed=; \
	$(MAKE) check || failed=" check"; \
	WHOLE=$(WHOLE) tests/lab/suites $(GUESTS) || failed="$$failed lab"; \
	if [ -n "$$failed" ]; then echo "make test: failed:$$failed" >&2; exit 1; fi

soak: deb ## Kill the helper 108 times, connect 200 times, in a virtual machine of each Debian: an hour and a half
	@failed=; \
	for guest in $(GUESTS); do \
		echo "tests/lab/run --guest $$guest tests/lab/suite test_crash.py"; \
		tests/lab/run --guest $$guest --timeout 7200 --env LAB_KILLS=36 --env LAB_CYCLES=200 \
			tests/lab/suite --capture=no test_crash.py || failed="$$failed $$guest"; \
	done; \
	if [ -n "$$failed" ]; then echo "make soak: failed:$$failed" >&2; exit 1; fi

storm: deb ## An hour of random faults with traffic, in a virtual machine of each Debian (STORM=SECONDS, SEED=NUMBER)
	@failed=; \
	for guest in $(GUESTS); do \
		tests/lab/run --guest $$guest --timeout 0 --env LAB_STORM=$(or $(STORM),3600) $(if $(SEED),--env LAB_SEED=$(SEED)) \
			tests/lab/storm || failed="$$failed $$guest"; \
	done; \
	if [ -n "$$failed" ]; then echo "make storm: failed:$$failed" >&2; exit 1; fi

demo: deb ## Watch a click on the tray icon bring up a real link in a virtual machine: 3 minutes; pictures in build/demo/ (PROTOCOL=l2tp)
	tests/lab/demo

screenshots: deb ## Picture every window, menu and notification: light, dark, Hebrew, at 200 %; pictures in build/screenshots/
	tests/lab/run --results build/screenshots tests/lab/screenshots $(LOOKS)

bench: deb ## Measure calls, faults, memory, wake-ups and the icon's start beside pppd, NetworkManager, other applets
	tests/lab/run tests/lab/bench
	tests/lab/run --timeout 7200 tests/lab/bench-faults
	tests/lab/run --desktop tests/lab/bench-applet

apt: deb ## Packages by apt in a virtual machine of each Debian: login, first link, upgrade (BEFORE=COMMIT), remove, purge
	@tests/lab/earlier-packages $(BEFORE)
	@failed=; \
	for guest in $(GUESTS); do \
		tests/lab/run --guest $$guest --silence 900 --no-install tests/lab/with-packages || failed="$$failed $$guest"; \
	done; \
	if [ -n "$$failed" ]; then echo "make apt: failed:$$failed" >&2; exit 1; fi

pip: venv deb ## Build the wheel into build/wheel/, and install it in a virtual machine of each Debian: login, first link, uninstall
	@rm -rf build/wheel
	$(VENV)/bin/python -m hatchling build --target wheel --directory build/wheel
	$(VENV)/bin/pip --quiet --disable-pip-version-check download --no-deps --dest build/wheel pip
	@failed=; \
	for guest in $(GUESTS); do \
		tests/lab/run --guest $$guest --no-install tests/lab/without-packages || failed="$$failed $$guest"; \
	done; \
	if [ -n "$$failed" ]; then echo "make pip: failed:$$failed" >&2; exit 1; fi

deb: setup-deb ## Build both Debian packages into build/deb/
	@debian/build-packages

pot: setup-check ## Extract the texts to be translated into desktop/po/cablecar.pot
	desktop/po/catalogues pot

po: pot ## Bring the languages in desktop/po/ up to date with the texts, and compile them for the checkout
	desktop/po/catalogues po
	desktop/po/catalogues mo applet/locale

docs: venv ## Make the pages that are made of other files: doc/TROUBLESHOOTING.md, and manual pages in build/man/
	@mkdir -p build
	$(VENV)/bin/python doc/troubleshooting >build/TROUBLESHOOTING.md
	mv build/TROUBLESHOOTING.md doc/TROUBLESHOOTING.md
	$(VENV)/bin/python doc/man/pages build/man

release: setup-release check ## Check that this tree is a release: one version, nothing unreleased or uncommitted, lintian content
	$(VENV)/bin/pytest --quiet tests/files/test_versions.py tests/release

venv: setup-check $(READY) ## Make the virtual environment .venv, with Cablecar in it as it stands in the tree

$(READY): | setup-check
	@echo "venv: installing what pyproject.toml names into $(VENV)"
	@rm -f $(VENV)/ready-*
	@$(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/pip --quiet --disable-pip-version-check install --editable '.[dev]'
	@touch $@

clean: ## Remove what the other targets made in the tree (the guests' trees are cached outside of it)
	rm -rf build applet/locale $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis

setup-check:
	@tests/setup-host check

setup-deb:
	@tests/setup-host deb

setup-release:
	@tests/setup-host release
