import errno
import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file

from ganguard.base import cache
from ganguard.base.cache import (
    TEMPORARY,
    atomic_path,
    code_version,
    content_key,
    copy_directory,
    copy_file,
    file_digest,
    publish_directory,
    remove_temporaries,
    tensor_digest,
    write_bytes,
    write_json,
    write_tensors,
)


def test_the_key_does_not_see_the_order_of_a_mapping() -> None:
    assert content_key(a=1, b={"x": 1, "y": [2]}) == content_key(b={"y": [2], "x": 1}, a=1)


@pytest.mark.parametrize("other", [{"a": 2}, {"b": 1}, {"a": "1"}, {"a": [1]}, {"a": 1, "b": None}])
def test_the_key_sees_every_name_value_and_type(other: dict[str, object]) -> None:
    assert content_key(**other) != content_key(a=1)


def test_nan_has_no_key() -> None:
    with pytest.raises(ValueError, match="JSON"):
        content_key(rate=float("nan"))


def test_the_digest_of_a_file_is_its_sha256(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")  # the test vector of FIPS 180-2
    assert file_digest(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_the_digest_of_tensors_sees_values_names_shapes_and_types() -> None:
    base = tensor_digest({"w": torch.zeros(2, 3)})
    assert base == tensor_digest({"w": torch.zeros(3, 2).t()})
    others = [
        {"v": torch.zeros(2, 3)},
        {"w": torch.zeros(3, 2)},
        {"w": torch.zeros(2, 3).int()},
        {"w": torch.ones(2, 3)},
    ]
    assert base not in {tensor_digest(other) for other in others}


def test_the_digest_of_tensors_does_not_see_memory_format() -> None:
    weight = torch.arange(16.0).view(1, 4, 2, 2)
    assert tensor_digest({"w": weight}) == tensor_digest({"w": weight.to(memory_format=torch.channels_last)})


def test_a_file_appears_whole_and_replaces_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "result"
    write_bytes(path, b"old")
    with atomic_path(path) as temporary:
        temporary.write_bytes(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert os.listdir(path.parent) == ["result"]


def test_an_exception_leaves_the_old_file_and_no_temporary_one(tmp_path: Path) -> None:
    path = tmp_path / "result"
    write_bytes(path, b"old")
    with pytest.raises(RuntimeError, match="killed"), atomic_path(path) as temporary:
        temporary.write_bytes(b"half of the ne")
        raise RuntimeError("killed")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["result"]


def test_an_exception_before_there_was_a_file_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), atomic_path(tmp_path / "result"):
        raise RuntimeError
    assert os.listdir(tmp_path) == []


def test_a_result_can_be_read_by_whom_the_umask_lets(tmp_path: Path) -> None:
    """mkstemp makes files for their owner only; results are shared with a group on a common disk."""
    write_bytes(tmp_path / "result", b"")
    (tmp_path / "plain").touch()
    assert (tmp_path / "result").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_json_is_written_in_the_order_given_and_without_nan(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": 1, "a": [2.5, None]})
    assert list(json.loads((tmp_path / "a.json").read_text()).items()) == [("b", 1), ("a", [2.5, None])]
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"b": float("inf")})
    assert json.loads((tmp_path / "a.json").read_text())["b"] == 1


def _directory(path: Path, content: str) -> Path:
    (path / "inner").mkdir(parents=True)
    (path / "inner" / "file").write_text(content)
    return path


def test_a_directory_is_moved_into_its_place(tmp_path: Path) -> None:
    publish_directory(_directory(tmp_path / "work", "new"), tmp_path / "deep" / "place")
    assert (tmp_path / "deep" / "place" / "inner" / "file").read_text() == "new"
    assert not (tmp_path / "work").exists()


def test_of_two_directories_the_first_stays(tmp_path: Path) -> None:
    _directory(tmp_path / "place", "first")
    publish_directory(_directory(tmp_path / "work", "second"), tmp_path / "place")
    assert (tmp_path / "place" / "inner" / "file").read_text() == "first"
    assert not (tmp_path / "work").exists()


def test_a_file_in_the_place_of_a_directory_is_not_lost(tmp_path: Path) -> None:
    (tmp_path / "place").write_text("mine")
    with pytest.raises(OSError, match="place"):
        publish_directory(_directory(tmp_path / "work", "new"), tmp_path / "place")
    assert (tmp_path / "place").read_text() == "mine"


def test_tensors_come_back_with_what_was_said_of_them(tmp_path: Path) -> None:
    transposed = torch.arange(6.0).view(2, 3).t()
    write_tensors(tmp_path / "deep" / "w.safetensors", {"w": transposed.requires_grad_()}, {"step": "3"})
    assert torch.equal(load_file(tmp_path / "deep" / "w.safetensors")["w"], transposed)
    with safe_open(tmp_path / "deep" / "w.safetensors", framework="pt") as file:
        assert file.metadata() == {"step": "3"}
    (tmp_path / "plain").touch()
    assert (tmp_path / "deep" / "w.safetensors").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_what_is_no_fault_of_the_disk_stays_what_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise SafetensorError("header too large")

    monkeypatch.setattr(cache, "save_file", refuse)
    with pytest.raises(SafetensorError):
        write_tensors(tmp_path / "w", {"w": torch.zeros(1)})
    assert os.listdir(tmp_path) == []


def test_a_directory_is_copied_file_by_file_and_nothing_else_is_touched(tmp_path: Path) -> None:
    _directory(tmp_path / "a", "new")
    _directory(tmp_path / "b", "old")
    (tmp_path / "b" / "mine").write_text("mine")
    copy_directory(tmp_path / "a", tmp_path / "b")
    copy_directory(tmp_path / "a", tmp_path / "c")
    assert (
        (tmp_path / "b" / "inner" / "file").read_text()
        == (tmp_path / "c" / "inner" / "file").read_text()
        == "new"
    )
    assert (tmp_path / "b" / "mine").read_text() == "mine"
    assert sorted(os.listdir(tmp_path / "b" / "inner")) == ["file"]


def test_what_killed_writers_left_is_removed_by_name(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    for name in (f".a.x{TEMPORARY}", f"inner/.a.y{TEMPORARY}", f".b.x{TEMPORARY}", "a", f"a{TEMPORARY}"):
        (tmp_path / name).touch()
    (tmp_path / f".a.z{TEMPORARY}").mkdir()
    (tmp_path / f".a.z{TEMPORARY}" / "file").touch()
    remove_temporaries(tmp_path, "a.")
    assert sorted(os.listdir(tmp_path)) == [f".b.x{TEMPORARY}", "a", f"a{TEMPORARY}", "inner"]
    assert os.listdir(tmp_path / "inner") == []
    remove_temporaries(tmp_path)
    assert sorted(os.listdir(tmp_path)) == ["a", f"a{TEMPORARY}", "inner"]


def _into(path: Path) -> None:
    with atomic_path(path) as temporary:
        temporary.write_bytes(b"new")


WRITERS: dict[str, Callable[[Path], None]] = {
    "atomic_path": _into,
    "write_bytes": lambda path: write_bytes(path, b"new"),
    "write_json": lambda path: write_json(path, "new"),
    "write_tensors": lambda path: write_tensors(path, {"new": torch.zeros(3)}),
    "copy_file": lambda path: copy_file(Path(__file__), path),
}


def _fail_at(moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is full at a moment of writing. What was written until then lies there."""

    def full(path: object = None, *_: object, **__: object) -> None:
        if isinstance(path, Path) and moment == "write":
            os.truncate(path, 2)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def full_of_tensors(_tensors: object, path: Path, *_: object) -> None:
        path.touch()
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    def full_of_copies(_source: Path, path: Path) -> None:
        raise OSError(
            errno.ENOSPC, os.strerror(errno.ENOSPC), str(_source), None, str(path)
        )  # as shutil does

    if moment == "write":
        monkeypatch.setattr(Path, "write_bytes", full)
        monkeypatch.setattr(cache, "save_file", full_of_tensors)
        monkeypatch.setattr(cache.shutil, "copyfile", full_of_copies)
    elif moment == "sync":
        monkeypatch.setattr(os, "fsync", full)
    else:
        monkeypatch.setattr(Path, "replace", full)
        monkeypatch.setattr(Path, "rename", full)


@pytest.mark.parametrize("moment", ["write", "sync", "rename"])
@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("before", [None, b"old"])
def test_a_full_disk_leaves_what_was_there_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str, writer: str, before: bytes | None
) -> None:
    path = tmp_path / "result"
    if before is not None:
        path.write_bytes(before)
    with monkeypatch.context() as patch:
        _fail_at(moment, patch)
        with pytest.raises(OSError, match="No space left on device") as raised:
            WRITERS[writer](path)
    assert (path.read_bytes() if path.exists() else None) == before
    assert os.listdir(tmp_path) == ([] if before is None else ["result"])
    for problem in (
        raised.value,
        pickle.loads(pickle.dumps(raised.value)),
    ):  # as it comes out of another process
        assert (problem.errno, problem.filename) == (errno.ENOSPC, str(path))


@pytest.mark.parametrize("moment", ["sync", "rename"])
def test_a_directory_that_cannot_be_published_stays_where_it_was_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    work = _directory(tmp_path / "work", "new")
    with monkeypatch.context() as patch:
        _fail_at(moment, patch)
        with pytest.raises(OSError, match="No space left on device"):
            publish_directory(work, tmp_path / "place")
    assert os.listdir(tmp_path) == ["work"]
    publish_directory(work, tmp_path / "place")
    assert (tmp_path / "place" / "inner" / "file").read_text() == "new"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache_probe_package"
    (folder / "room").mkdir(parents=True)
    for name, code in {"__init__.py": "", "room/__init__.py": "", "room/idea.py": "x = 1\n"}.items():
        (folder / name).write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    code_version.cache_clear()
    yield folder
    code_version.cache_clear()


def _version() -> str:
    code_version.cache_clear()
    return code_version("cache_probe_package")


def test_the_code_version_sees_changed_and_added_files(package: Path) -> None:
    versions = [_version()]
    assert _version() == versions[0]
    (package / "room" / "idea.py").write_text("x = 2\n")
    versions.append(_version())
    (package / "room" / "other.py").write_text("")
    versions.append(_version())
    assert len(set(versions)) == 3


def test_the_code_version_sees_a_file_moved_to_another_room(package: Path) -> None:
    (package / "zoo").mkdir()
    before = _version()
    (package / "room" / "idea.py").rename(package / "zoo" / "idea.py")
    assert _version() != before


def test_the_code_version_does_not_see_what_is_no_source(package: Path) -> None:
    before = _version()
    (package / "notes.txt").write_text("nothing")
    assert _version() == before


def test_the_code_version_does_not_depend_on_the_order_of_rooms() -> None:
    assert code_version("ganguard.base", "ganguard.data") == code_version("ganguard.data", "ganguard.base")
    assert code_version("ganguard.base") != code_version("ganguard.data")


def test_the_code_version_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no_such_package"):
        code_version("no_such_package")
