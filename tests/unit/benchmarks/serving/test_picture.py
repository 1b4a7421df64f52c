from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.serving import picture
from benchmarks.serving.claims import AT_ONCE


def report(*models: str) -> dict[str, Any]:
    def spread(median: float) -> dict[str, Any]:
        by = {"median": median, "low": median * 0.9, "high": median * 1.1, "repeats": 3}
        return {"tokens_per_s": {**by, "by_ungated": by}}

    peers = {"ungated": spread(1.0), "fused": spread(0.98), "ideal": spread(1.2)}
    load = {"requests": 48, "peers": peers}
    return {"models": {name: {"loads": {AT_ONCE: load}} for name in models}}


def written(folder: Path, name: str, content: object) -> str:
    path = folder / name
    path.write_text(json.dumps(content), encoding="utf-8")
    return str(path)


def test_models_of_several_reports_share_a_picture(tmp_path, capsys):
    one = written(tmp_path, "one.json", report("organism"))
    whole = written(tmp_path, "all.json", {"benchmarks": {"generation": report("30M", "300M")}})
    out = tmp_path / "pictures" / "serving.png"
    picture.main([one, whole, "--out", str(out)])
    assert out.read_bytes().startswith(b"\x89PNG")
    assert capsys.readouterr().out.endswith("organism, 30M, 300M\n")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([1], "is no report of benchmarks.serving"),
        ({"benchmarks": {}}, "is no report of benchmarks.serving"),
        ({"models": {"30M": {"loads": {"1 client": {}}}}}, "holds no load `all at once`"),
    ],
)
def test_a_file_that_is_no_report_is_told_in_words(content, words, tmp_path, capsys):
    with pytest.raises(SystemExit):
        picture.main([written(tmp_path, "odd.json", content), "--out", str(tmp_path / "x.png")])
    assert words in capsys.readouterr().err
    assert not (tmp_path / "x.png").exists()


def test_a_file_that_is_not_there_is_told_in_words(tmp_path, capsys):
    with pytest.raises(SystemExit):
        picture.main([str(tmp_path / "none.json"), "--out", str(tmp_path / "x.png")])
    assert "is no report of benchmarks.serving (FileNotFoundError" in capsys.readouterr().err
