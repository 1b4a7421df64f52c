"""What docs/trust.md tells an operator to do in the overlay makes replicas demand signatures."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from services.readout.signature import PUBLIC_KEY, new_keys, trust_of
from services.settings import load_settings
from tests.deploy.rendered import MANIFESTS, kustomized, of_kind, pods, ray_services

pytestmark = pytest.mark.deploy


@pytest.fixture
def overlay(tmp_path: Path) -> Path:
    """The production overlay with a public key beside its settings, and both comments taken up."""
    shutil.copytree(MANIFESTS, tmp_path / "k8s")
    serve = tmp_path / "k8s" / "overlays" / "prod" / "serve"
    new_keys(tmp_path / "keys")
    shutil.copyfile(tmp_path / "keys" / PUBLIC_KEY, serve / PUBLIC_KEY)
    for name, before, after in (
        ("settings.yaml", "# trusted_keys:", "trusted_keys:"),
        ("kustomization.yaml", "files: [settings.yaml]", f"files: [settings.yaml, {PUBLIC_KEY}]"),
    ):
        text = (serve / name).read_text(encoding="utf-8")
        assert before in text
        (serve / name).write_text(text.replace(before, after), encoding="utf-8")
    return serve.parent


def test_the_trusted_key_lies_where_the_settings_name_it(overlay: Path, tmp_path: Path) -> None:
    objects = kustomized(overlay)
    [ray] = ray_services(objects)
    maps = {each["metadata"]["name"]: each["data"] for each in of_kind(objects, "ConfigMap")}
    for pod in pods([ray]):
        [volume] = [each for each in pod.spec["volumes"] if "configMap" in each]
        [mount] = [
            each
            for container in pod.spec["containers"]
            for each in container["volumeMounts"]
            if each["name"] == volume["name"]
        ]
        data = maps[volume["configMap"]["name"]]
        named = yaml.safe_load(data["settings.yaml"])["registry"]["trusted_keys"]
        assert named == [f"{mount['mountPath']}/{PUBLIC_KEY}"]
        (tmp_path / PUBLIC_KEY).write_text(data[PUBLIC_KEY], encoding="utf-8")
        (tmp_path / "settings.yaml").write_text(
            data["settings.yaml"].replace(mount["mountPath"], str(tmp_path)), encoding="utf-8"
        )
        registry = load_settings(tmp_path / "settings.yaml").registry
        assert trust_of(registry.trusted_keys, required=registry.require_signature).required
