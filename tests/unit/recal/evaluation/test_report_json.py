import json
from dataclasses import replace
from pathlib import Path

import pytest

from recal.evaluation.report import EvaluationReport
from recal.evaluation.report_json import write_json
from tests.unit.recal.evaluation.stage import asked, evaluated

REPORT = evaluated().report


def written(report: EvaluationReport, path: Path) -> dict[str, object]:
    write_json(report, path)
    found: dict[str, object] = json.loads(path.read_text(encoding="utf-8"))
    return found


def test_every_arm_language_and_draw_is_in_the_file(tmp_path: Path) -> None:
    found = written(REPORT, tmp_path / "new" / "report.json")
    arms = {arm["key"]: arm for arm in found["arms"]}  # type: ignore[attr-defined]
    assert set(arms) == {arm.key for arm in REPORT.arms}
    sw = arms["recal@1"]["results"][0]
    assert len(sw["gate"]["steer_thresholds"]) == 6
    assert sw["gate"]["j"]["worst"] == REPORT.arm("recal@1").of("sw").gate.j.worst
    assert sw["delta"]["value"] == REPORT.arm("recal@1").of("sw").delta.value
    assert arms["release_all"]["less_safe"] == ["en"]
    assert found["plan"]["seed"] == 0  # type: ignore[index]


def test_no_text_of_a_prompt_is_in_the_file(tmp_path: Path) -> None:
    write_json(REPORT, tmp_path / "report.json")
    text = (tmp_path / "report.json").read_text(encoding="utf-8")
    assert not any(p.text in text for p in asked().prompts)


def test_a_number_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(replace(REPORT, seconds=float("nan")), tmp_path / "report.json")
