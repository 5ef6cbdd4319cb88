# Everything runs in .venv, which `make setup` creates; `make test` is the README's test command.
SHELL := /bin/bash
.PHONY: setup test check bench demo acceptance

setup:
	[ -x .venv/bin/python ] || python3 -m venv .venv
	.venv/bin/pip install -e '.[dev,test-kafka]'

test:
	@eval "$$(.ci/test-command)"

check:
	.venv/bin/ruff check && .venv/bin/ruff format --check
	.venv/bin/mypy && .venv/bin/python -m aiops.schema --check

bench:
	for name in ingest; do .venv/bin/python -m "benchmarks.$$name" || exit 1; done

demo:
	.venv/bin/aiops demo

acceptance:
	.venv/bin/pytest -m acceptance
