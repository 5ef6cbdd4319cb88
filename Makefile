# Everything runs in .venv, which `make setup` creates; `make test` is the README's test command.
SHELL := /bin/bash
.PHONY: setup test check bench bench-logs bench-kafka demo acceptance

setup:
	[ -x .venv/bin/python ] || python3 -m venv .venv
	.venv/bin/pip install -e '.[dev,test-kafka]'

test:
	@eval "$$(.ci/test-command)"

check:
	.venv/bin/ruff check && .venv/bin/ruff format --check
	.venv/bin/mypy && .venv/bin/python -m aiops.schema --check && .venv/bin/python -m streams.asyncapi --check

bench:
	for name in ingest internal_records detect noise; do .venv/bin/python -m "benchmarks.$$name" || exit 1; done

# Apart from bench: it starts a broker, which needs Java and Maven, and takes far longer; --quick sees that it works.
bench-kafka:
	.venv/bin/python -m benchmarks.kafka_end_to_end

# Needs labelled lines: AIOPS_DATA names their folder.
bench-logs:
	.venv/bin/python -m benchmarks.log_templates "$$AIOPS_DATA" "$${TMPDIR:-/tmp}/log-templates"

demo:
	.venv/bin/aiops demo

acceptance:
	.venv/bin/pytest -m acceptance
