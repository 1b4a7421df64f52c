from __future__ import annotations

from pathlib import Path

from services.readout import schema


def test_the_committed_json_schema_is_fresh() -> None:
    committed = Path(schema.__file__).with_name("artefact.schema.json").read_text()
    assert committed == schema.json_schema(), (
        "run `python -m services.readout.schema > services/readout/artefact.schema.json`"
    )


def test_every_record_forbids_unknown_fields() -> None:
    records = [schema.Manifest, schema.ReadoutRecord, schema.CalibrationRecord]
    assert all(record.model_config["extra"] == "forbid" for record in records)
