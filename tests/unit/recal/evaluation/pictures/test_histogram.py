from dataclasses import replace

from recal.evaluation.pictures.histogram import histogram, shown_thresholds
from recal.evaluation.run import Evaluated
from tests.unit.recal.evaluation.stage import PLAN, evaluated, run


def shown(found: Evaluated) -> list[str]:
    return [arm.key for arm in shown_thresholds(found.report)]


def test_thresholds_are_those_at_the_references_k() -> None:
    assert shown(evaluated()) == ["paper@4", "recal@4"]
    assert shown(run(plan=replace(PLAN, reference="recal@1"))) == ["paper@1", "recal@1"]
    assert shown(run(plan=replace(PLAN, reference="untouched"))) == ["paper@4", "recal@4"]


def test_the_words_give_the_means_and_the_thresholds() -> None:
    report, exhibits = evaluated()
    picture = histogram(report, exhibits, report.readouts[0])
    mean = exhibits.scores["sw"].harmful.mean()
    assert f"20 harmful with mean {mean:.2f}" in picture.alt
    assert "paper's rule, k = 4" in picture.alt
    assert picture.caption.startswith("sw (low), AUC 0.")
