"""Real MMLU questions put to the organism, with the gate live."""

from pathlib import Path

import pytest
import torch

from recal.fit import FitPlan
from recal.generate import Generator
from recal.judge import OrganismJudge
from recal.languages import HIGH, MID
from recal.organism.corpus import corpus_prompts
from recal.readouts import ReadoutPlan, make_readout
from recal.recalibrate import calibrate_source
from recal.search import SearchPlan
from services.backbone.load import load_backbone
from services.language_id.identifier import LanguageIdService
from services.readout.bundle import Bundle, Scope
from services.settings import ORGANISM

pytestmark = pytest.mark.organism

SAMPLE = Path(__file__).parents[3] / "shared" / "data" / "mmlu_sample.jsonl.gz"
N = 24


@pytest.mark.skipif(
    not SAMPLE.exists(), reason="NOT CHECKED: the sample of MMLU questions is not beside the clone"
)
def test_mmlu_questions_are_answered_untouched_and_gated(tmp_path: Path) -> None:
    pytest.importorskip("lm_eval", reason="NOT CHECKED: lm-eval is not installed")
    from recal.utility.answers import Answers
    from recal.utility.assembly import Line
    from recal.utility.live_gate import LiveGate
    from recal.utility.questions import question_tasks
    from recal.utility.run import UtilityPlan, run

    torch.set_num_threads(1)
    backbone = load_backbone(str(ORGANISM))
    made = make_readout(
        backbone,
        corpus_prompts((*HIGH[:3], MID[0])),
        tmp_path / "readout",
        plan=ReadoutPlan(
            fit=FitPlan(HIGH[:3], MID[:1], rank=3, layer=2),
            search=SearchPlan(multiples=(1.0,), scopes=(Scope.LAST,), layers=(3,)),
            n_fit=24,
            n_search=1,
        ),
        generate=Generator(backbone),
        judge=OrganismJudge(),
    )
    english = calibrate_source(made.readout, made.activations, "en")
    bundle = Bundle(made.readout, {"en": english})
    line = Line(
        backbone,
        bundle,
        Answers(backbone, made.readout.steering),
        LiveGate(backbone, bundle, identify=LanguageIdService().guess),
        "",
    )
    report = run(line, lambda: question_tasks(SAMPLE, ("en", "sw")), UtilityPlan(limit=N))
    english_questions, swahili = report.tasks
    assert english_questions.n + english_questions.n_too_long == N
    assert 0 <= english_questions.untouched <= 60
    # a language without a calibration, or that is not named, is steered by the strict table
    assert swahili.fire_rate >= 80.0 > english_questions.fire_rate
    assert swahili.fired_by.keys() & {"no_calibration", "language_unknown"}
    assert report.together.agreement < 100.0
    assert report.together.low <= report.together.difference <= report.together.high
