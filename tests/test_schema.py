from __future__ import annotations

import json
from pathlib import Path

import pytest

from aiops.schema import RECORDS, main, stale

WRITTEN = Path(__file__).resolve().parents[1] / "docs" / "schema"


def test_the_written_schemas_are_current():
    assert not stale(WRITTEN), "run python -m aiops.schema"


def test_there_is_no_schema_without_a_record():
    assert {path.name for path in WRITTEN.iterdir()} == {f"{record.__name__.lower()}.schema.json" for record in RECORDS}


def test_a_check_names_what_is_stale_and_writes_nothing(tmp_path, capsys):
    assert main([str(tmp_path)]) == 0
    assert main([str(tmp_path), "--check"]) == 0
    changed = tmp_path / "change.schema.json"
    changed.write_text("{}")
    assert main([str(tmp_path), "--check"]) == 1
    assert str(changed) in capsys.readouterr().err
    assert changed.read_text() == "{}"
    changed.unlink()
    assert main([str(tmp_path), "--check"]) == 1, "one that is missing is stale too"


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
def test_a_schema_describes_every_field_and_every_part(record):
    document = json.loads((WRITTEN / f"{record.__name__.lower()}.schema.json").read_text())
    assert list(document["$defs"][record.__name__]["properties"]) == list(record.__struct_fields__)
    assert all(definition["description"] for definition in document["$defs"].values())
