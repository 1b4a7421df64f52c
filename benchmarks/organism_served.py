"""The organism as benchmarks and tests serve it: on free ports, artefacts from a directory."""

from __future__ import annotations

from pathlib import Path

from recal.demo.stage import free_port
from recal.generate import Generator
from recal.inputs import whole_backbone
from recal.judge import OrganismJudge
from recal.languages import HIGH
from recal.organism.corpus import corpus_prompts
from recal.readouts import ReadoutPlan, make_readout
from recal.recalibrate import calibrate_source
from recal.search import SearchPlan
from services.readout.artefact import save_calibration
from services.readout.bundle import BackboneIdentity, Scope, SteerForm
from services.settings import EdgeSettings, RegistrySettings, ServeSettings, Settings


def artefacts(settings: Settings, directory: Path) -> BackboneIdentity:
    """A readout of the organism and its source languages' calibrations; one steering, untuned.

    Returns:
        The organism's.
    """
    backbone = whole_backbone(settings.backbone, threads=settings.threads)
    search = SearchPlan(
        multiples=(1.0,),
        forms=(SteerForm.ADD,),
        scopes=(Scope.LAST,),
        layers=(3,),
        max_degenerate=1.0,
    )
    made = make_readout(
        backbone,
        corpus_prompts(),
        directory / "readout",
        plan=ReadoutPlan(search=search, n_fit=48, n_search=1),
        generate=Generator(backbone),
        judge=OrganismJudge(),
    )
    for language in HIGH:
        calibration = calibrate_source(made.readout, made.activations, language)
        save_calibration(calibration, directory / "calibrations" / language)
    return backbone.identity


def settings_for(directory: Path) -> Settings:
    """Everything on free ports, artefacts from a directory."""
    return Settings(
        registry=RegistrySettings(source="directory", directory=directory),
        edge=EdgeSettings(port=free_port(), metrics_port=None, internal_services=True),
        serve=ServeSettings(grpc_port=free_port(), http_port=free_port(), drain_s=1.0),
        state_dir=directory / "state",
    )
