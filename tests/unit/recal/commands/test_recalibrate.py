"""Where the command finds other languages' calibrations, and what it says of what it made."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from recal.commands.recalibrate import AUTO, _made, _others, _refuse_frozen, _save
from recal.direction_readout import DIRECTION
from recal.evidence import Beside
from recal.evidence_files import Collected, EvidenceFiles
from recal.fallback import DISAGREEMENT
from recal.recalibrate import Recalibrated, RecalibrationPlan
from services.readout.artefact import save_calibration
from services.readout.bundle import Readout
from services.settings import Settings
from tests.unit.recal.test_direction_readout import direction, prompts, readout
from tests.unit.recal.test_fallback import broken
from tests.unit.services.readout.factories import BACKBONE, a_calibration, a_readout, an_own_readout

__all__ = ["broken", "direction", "readout"]  # the fixtures

RUNNING = SimpleNamespace(identity=BACKBONE)


def console() -> Console:
    return Console(file=io.StringIO(), width=400)


def said(by: Console) -> str:
    return by.file.getvalue()  # type: ignore[attr-defined]


def others(prior: str, tmp_path: Path, to: Console) -> list[str]:
    settings = Settings(state_dir=tmp_path)
    readout = a_readout(digest="d" * 64)
    found = _others(prior, settings, RUNNING, readout, to)  # type: ignore[arg-type]
    return [calibration.language for calibration in found]


def test_calibrations_beside_it_are_the_prior_by_default(tmp_path: Path) -> None:
    for language in ("am", "yo"):
        save_calibration(a_calibration(language), tmp_path / "calibrations" / language)
    assert others("", tmp_path, console()) == ["am", "yo"]


def test_no_calibration_is_no_prior_and_no_error(tmp_path: Path) -> None:
    assert others("", tmp_path, console()) == []


def test_a_folder_can_be_named(tmp_path: Path) -> None:
    save_calibration(a_calibration("my"), tmp_path / "elsewhere" / "my")
    assert others(str(tmp_path / "elsewhere"), tmp_path, console()) == ["my"]


def test_a_folder_that_is_not_there_is_an_error_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is no folder; name one with saved calibrations"):
        others(str(tmp_path / "nowhere"), tmp_path, console())


def test_the_prior_can_be_left_out(tmp_path: Path) -> None:
    save_calibration(a_calibration("am"), tmp_path / "calibrations" / "am")
    assert others("none", tmp_path, console()) == []


def test_a_calibration_of_another_backbone_is_left_out_and_named(tmp_path: Path) -> None:
    strange = replace(a_calibration("am"), backbone=replace(BACKBONE, weights_digest="9" * 64))
    save_calibration(strange, tmp_path / "calibrations" / "am")
    save_calibration(a_calibration("yo"), tmp_path / "calibrations" / "yo")
    to = console()
    assert others("", tmp_path, to) == ["yo"]
    assert "no prior from `am`" in said(to)


def test_calibrations_of_another_readout_are_left_out_and_named(tmp_path: Path) -> None:
    old = a_calibration("am", readout_digest="e" * 64)
    save_calibration(old, tmp_path / "calibrations" / "am")
    save_calibration(a_calibration("yo"), tmp_path / "calibrations" / "yo")
    to = console()
    assert others("", tmp_path, to) == ["yo"]
    assert "no prior from am: calibrations of another readout" in said(to)


FILE = Path("translated.jsonl")


@pytest.mark.parametrize(
    ("own", "files", "prior", "words"),
    [
        (
            "best",
            EvidenceFiles(translated=FILE),
            "",
            "`best`; choose one of translate_train, distil, direction, auto",
        ),
        ("auto", EvidenceFiles(), "", "give them by `--unlabelled`"),
        ("direction", EvidenceFiles(), "registry", "`--prior registry` is of the frozen score"),
        ("translate_train", EvidenceFiles(), "", "give them by `--translated`"),
        ("distil", EvidenceFiles(translated=FILE), "", "is taught by `--sources`"),
        (
            "translate_train",
            EvidenceFiles(translated=FILE, sources=FILE),
            "",
            "has no use for `--sources`",
        ),
        (
            "translate_train",
            EvidenceFiles(translated=FILE, parallel=FILE),
            "",
            "`--parallel` is of the frozen score",
        ),
        (
            "translate_train",
            EvidenceFiles(translated=FILE),
            "registry",
            "`--prior registry` is of the frozen score",
        ),
    ],
)
def test_what_an_own_readout_has_no_use_for_is_refused_before_the_model_is_loaded(
    own: str, files: EvidenceFiles, prior: str, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        _refuse_frozen(own, files, prior)


@pytest.mark.parametrize("prior", ["", "none"])
def test_what_an_own_readout_needs_is_taken(prior: str) -> None:
    _refuse_frozen("translate_train", EvidenceFiles(translated=FILE, unlabelled=FILE), prior)
    _refuse_frozen("distil", EvidenceFiles(translated=FILE, sources=FILE), prior)
    _refuse_frozen("", EvidenceFiles(parallel=FILE, sources=FILE), "registry")
    _refuse_frozen("direction", EvidenceFiles(parallel=FILE, sources=FILE), prior)
    _refuse_frozen("auto", EvidenceFiles(unlabelled=FILE), "registry")


def given(n: int = 0) -> Collected:
    """Four examples a class, and twice n prompts without labels."""
    return Collected(prompts(4, 31), Beside(unlabelled=prompts(n, 41) if n else None), None)


def made_by(own: str, by: Readout, found: Collected) -> Recalibrated:
    return _made(own, by, found, "sw", RecalibrationPlan(), [])


@pytest.mark.parametrize(("own", "method"), [("", None), (DIRECTION, DIRECTION)])
@pytest.mark.parametrize("n", [0, 30])
def test_what_is_asked_for_scores_and_unlabelled_prompts_only_tell(
    own: str, method: str | None, n: int, broken: Readout
) -> None:
    """Also where they tell that the frozen readout is broken: the default leaves it."""
    made = made_by(own, broken, given(n)).calibration
    assert (made.own.method if made.own else None) == method
    assert (DISAGREEMENT in made.evidence) == (n > 0)


def test_the_rule_chooses_by_what_both_decide(readout: Readout, broken: Readout) -> None:
    assert made_by(AUTO, readout, given(30)).calibration.own is None
    assert made_by(AUTO, broken, given(30)).calibration.own is broken.fallback


def test_a_readout_that_keeps_no_direction_is_used_as_before_unless_one_is_asked_for(
    readout: Readout,
) -> None:
    older = replace(readout, fallback=None)
    assert DISAGREEMENT not in made_by("", older, given(30)).calibration.evidence
    for own in (AUTO, DIRECTION):
        with pytest.raises(ValueError, match="keeps no direction readout"):
            made_by(own, older, given(30))


def test_how_far_both_readouts_agree_is_said(readout: Readout, tmp_path: Path) -> None:
    made, to = made_by("", readout, given(30)), console()
    _save(made, tmp_path / "sw", readout, to, warnings=[])
    *_, last = said(to).splitlines()
    assert last == f"readouts: {made.calibration.provenance[DISAGREEMENT]}"
    assert "of 60 unlabelled prompts" in last
    to = console()
    _save(made_by("", readout, given()), tmp_path / "sw", readout, to, warnings=[])
    assert "readouts:" not in said(to)


def test_an_own_readout_is_said_beside_its_threshold(tmp_path: Path) -> None:
    made = replace(
        a_calibration("sw", estimator="auto"),
        own=an_own_readout(),
        provenance={"own_readout": "translate_train from 60 harmful and 60 harmless"},
    )
    to = console()
    _save(Recalibrated(made, ()), tmp_path / "sw", a_readout(), to, warnings=[])
    first, second, *_ = said(to).splitlines()
    assert first == "own readout: translate_train from 60 harmful and 60 harmless"
    assert "from k = 4 (auto, of its own readout's score)" in second
    assert "source languages" not in second


def test_what_was_made_is_said_with_its_parts_and_every_warning(tmp_path: Path) -> None:
    made = replace(
        a_calibration("sw", estimator="auto"),
        evidence={
            "labels": -1.0,
            "labels_sd": 0.5,
            "own_threshold": -1.0,
            "own_sd": 0.5,
            "rho": 0.3,
        },
    )
    to = console()
    _save(
        Recalibrated(made, ("the classes overlap",)),
        tmp_path / "sw",
        a_readout(),
        to,
        warnings=["example `b` reads as `en`"],
    )
    lines = said(to).splitlines()
    assert lines[:2] == ["warning: the classes overlap", "warning: example `b` reads as `en`"]
    assert "sw: threshold +0.40 ± 0.30 from k = 4 (auto;" in lines[2]
    assert lines[3] == "made of: labels -1.00 ± 0.50"
    assert (tmp_path / "sw" / "calibration.json").is_file()
