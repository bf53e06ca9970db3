"""No place of this machine is in what an audit is shared by."""

import os
from pathlib import Path

import pytest
from report_samples import make_results
from spec_samples import SMALL

from ganguard.audit.outcome.shareable import PRIVATE_SPEC, shareable, write_private_spec
from ganguard.audit.spec.reading import read_spec
from ganguard.audit.spec.spec import Spec
from ganguard.base.settings import parse
from ganguard.results.records import AuditResults, FailureRecord

HERE, AUDIT = Path("/home/ada/work"), Path("/home/ada/work/audits/mine")


def results_of(reason: str = "", **spec: object) -> AuditResults:
    results = make_results()
    failure = FailureRecord(step="substitute", reason=reason, attack="a", query_budget=1, seed=0)
    return results.model_copy(update={"spec": {**results.spec, **spec}, "failures": (failure,)})


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/home/ada/work/runs/gan", "runs/gan"),
        ("/home/ada/work/audits/mine/steps/real-1", "steps/real-1"),
        ("/data/faces of ada/celeba", "celeba"),
        ("/home/ada/pictures.zip", "pictures.zip"),
        ("runs/gan", "runs/gan"),
        ("http://127.0.0.1:8000/a/b", "http://127.0.0.1:8000/a/b"),
        ("owner/name", "owner/name"),
        ("python:module:factory", "python:module:factory"),
    ],
)
def test_a_path_becomes_relative_or_a_name(path: str, wanted: str) -> None:
    found = shareable(results_of(real={"kind": "image_folder", "path": path}), AUDIT, HERE)
    assert found.spec["real"]["path"] == wanted


@pytest.mark.parametrize(
    ("reason", "wanted"),
    [
        (
            "the last good state is in /home/ada/work/audits/mine/work/a-1/training.safetensors.",
            "the last good state is in work/a-1/training.safetensors.",
        ),
        ("/mnt/ada/x.png: not an image (a/b, 1/2, 3 / 4)", "x.png: not an image (a/b, 1/2, 3 / 4)"),
        ("cannot read '/data/faces of ada/celeba/1.png'", "cannot read 'celeba/1.png'"),
        ("see ~/models/gan and https://host/a/b", "see gan and https://host/a/b"),
    ],
)
def test_paths_within_messages_too(reason: str, wanted: str) -> None:
    spec = {"real": {"kind": "image_folder", "path": "/data/faces of ada/celeba"}}
    found = shareable(results_of(reason, **spec), AUDIT, HERE)
    assert found.failures[0].reason == wanted
    assert "ada" not in found.model_dump_json()


def test_results_without_paths_stay_as_they_are() -> None:
    results = make_results()
    assert shareable(results, AUDIT, HERE) == results


@pytest.mark.skipif(os.name != "posix", reason="modes of files are POSIX's")
def test_the_whole_spec_is_kept_for_this_user_alone(tmp_path: Path) -> None:
    spec = parse(Spec, {**SMALL, "target": {"checkpoint": "runs/gan"}}, "spec")
    write_private_spec(spec, tmp_path)
    path = tmp_path / PRIVATE_SPEC
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_spec(str(path), [])[1] == spec
    assert str(Path.cwd() / "runs/gan") in path.read_text()
