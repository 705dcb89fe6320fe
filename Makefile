# Two commands do all the set-up on a fresh machine:
#   make demo   the light install, then 20 s of a streamed walk tracked by a G1 in MuJoCo, with a report page
#   make test   everything, then the tests (Python 3.12, about 8 GB)
PYTHON ?= python3
VENV ?= .venv
VENV_TEST ?= .venv-test
PIP_QUIET = -qq --no-cache-dir --no-compile --disable-pip-version-check
export PYTHONDONTWRITEBYTECODE = 1

.PHONY: demo test check format bench clean
.DEFAULT_GOAL := help

help:
	@sed -n '2,4p' Makefile; echo "#   make check  formatting, lint, types and import rules; make bench  time of a tick"

$(VENV)/ok: pyproject.toml
	@sh .ci/make_venv.sh $(PYTHON) $(VENV) 3.11
	$(VENV)/bin/python -m pip install $(PIP_QUIET) -e .
	@# Sixty megabytes that no command here opens: test suites of scipy and others, MuJoCo's experimental studio.
	@find $(VENV)/lib -type d \( -name tests -o -path '*/mujoco/experimental' \) -prune -exec rm -rf {} +
	@# And the second build of zstandard, for interpreters without a C interface.
	@find $(VENV)/lib -path '*/zstandard/_cffi*' -delete
	@touch $@

$(VENV_TEST)/ok: pyproject.toml
	@sh .ci/make_venv.sh "" $(VENV_TEST) 3.12
	$(VENV_TEST)/bin/python -m pip install $(PIP_QUIET) -e '.[train,view,robot,dev]'
	@# The public G1 model that ours is held against; its own requirements contradict Isaac Lab's and are not needed.
	$(VENV_TEST)/bin/python -m pip install $(PIP_QUIET) --no-deps mjlab==1.6.0
	@touch $@

demo: $(VENV)/ok
	$(VENV)/bin/sonic-demo

test: $(VENV_TEST)/ok check
	$(VENV_TEST)/bin/python -m pytest

check: $(VENV_TEST)/ok
	$(VENV_TEST)/bin/ruff format --check .
	$(VENV_TEST)/bin/ruff check .
	$(VENV_TEST)/bin/pyright --pythonpath $(VENV_TEST)/bin/python
	$(VENV_TEST)/bin/lint-imports

format: $(VENV_TEST)/ok
	$(VENV_TEST)/bin/ruff format .
	$(VENV_TEST)/bin/ruff check --fix .

bench: $(VENV)/ok
	$(VENV)/bin/sonic-bench tick

clean:
	rm -rf $(VENV) $(VENV_TEST) build *.egg-info
