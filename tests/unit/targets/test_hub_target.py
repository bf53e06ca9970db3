"""A checkpoint on Hugging Face's hub: what is asked for, and the error if it cannot be downloaded."""

from pathlib import Path
from typing import Any

import pytest

from ganguard.base.compute import Compute
from ganguard.base.errors import CheckpointError, SpecError, TargetError
from ganguard.cli.options import target_of
from ganguard.targets.hub import FILES, HubTarget
from ganguard.targets.load import load_target, parse_target


@pytest.mark.parametrize("name", ["nobody", "a/b/c", "../../etc", "owner/", "owner/na me"])
def test_a_name_is_owner_and_repository(name: str) -> None:
    with pytest.raises(SpecError, match="hub"):
        parse_target({"hub": name})


def test_the_command_line_knows_it() -> None:
    assert target_of("hub:owner/name", None, False) == HubTarget(hub="owner/name")


def test_what_is_not_to_be_had_is_said_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(TargetError, match="owner/absent: revision 'main' cannot be downloaded") as raised:
        load_target(HubTarget(hub="owner/absent"), Compute())
    assert "\n" not in str(raised.value)


def test_three_files_are_fetched_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    def download(name: str, **wanted: Any) -> str:
        asked.append({"name": name, **wanted})
        return str(tmp_path)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    with pytest.raises(CheckpointError, match=r"holds no checkpoint\.json"):
        HubTarget(hub="owner/name", revision="v1").fingerprint()
    assert [(call["name"], call["revision"]) for call in asked] == [("owner/name", "v1")] * 2
    assert all(call["allow_patterns"] == list(FILES) for call in asked)
