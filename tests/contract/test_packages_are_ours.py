"""`import services` and `import recal` reach this repository and nothing that was installed."""

import importlib
from pathlib import Path

import pytest

from tests.contract.tree import PACKAGES, ROOT


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_is_imported_from_this_tree(package: str) -> None:
    module = importlib.import_module(package)
    assert [Path(path) for path in module.__path__] == [ROOT / package]


def test_every_folder_of_code_is_a_package() -> None:
    folders = {path.parent for package in PACKAGES for path in (ROOT / package).rglob("*.py")}
    assert [folder for folder in folders if not (folder / "__init__.py").is_file()] == []


def test_every_import_path_that_is_packed_exists() -> None:
    package_data = {
        "services/refusals/phrases": "*.yaml",
        "recal/organism/corpus": "*.yaml",
        "recal/starter": "*.yaml",
    }
    for folder, pattern in package_data.items():
        assert len(list((ROOT / folder).glob(pattern))) == 23, folder
