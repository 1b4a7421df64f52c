from pathlib import Path
from typing import Any

import pytest
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

from services.backbone.snapshot import resolve
from services.errors import ArtefactRefused


class FakeHub:
    def __init__(self, answer: str | Exception) -> None:
        self.answer = answer
        self.calls: list[tuple[str, Any]] = []

    def __call__(self, name: str, *, revision: str | None, **patterns: Any) -> str:
        self.calls.append((name, revision))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def test_a_local_directory_is_taken_without_the_hub(checkpoints):
    hub = FakeHub("nowhere")
    assert resolve(str(checkpoints["qwen2"]), download=hub) == checkpoints["qwen2"]
    assert hub.calls == []


def test_a_hub_id_is_downloaded_at_its_revision(tmp_path: Path):
    hub = FakeHub(str(tmp_path))
    assert resolve("acme/tiny", revision="abc", download=hub) == tmp_path
    assert hub.calls == [("acme/tiny", "abc")]


@pytest.mark.parametrize("path", ["./tiny", "/tiny", "~/tiny", "a/b/c"])
def test_what_looks_like_a_path_is_never_asked_of_the_hub(path: str):
    hub = FakeHub("nowhere")
    with pytest.raises(ArtefactRefused, match="there is no directory"):
        resolve(path, download=hub)
    assert hub.calls == []


def test_a_hub_that_does_not_answer_is_named():
    hub = FakeHub(LocalEntryNotFoundError("no network"))
    with pytest.raises(ArtefactRefused, match="does not give `acme/tiny` at revision `abc`"):
        resolve("acme/tiny", revision="abc", download=hub)


def test_a_name_that_is_neither_path_nor_hub_id_is_refused():
    with pytest.raises(ArtefactRefused, match="neither a directory nor a hub id"):
        resolve("not a name", download=FakeHub(HFValidationError("bad")))
