"""A zip or a database that cannot be read at the moment is not taken for one with bad images."""

import errno
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import lmdb
import numpy as np
import pytest

from ganguard.base.errors import DataError, InputError, StepError
from ganguard.data import lsun_lmdb
from ganguard.data.image_zip import ImageZip
from ganguard.data.lsun_lmdb import LsunLmdb


@pytest.fixture
def archive(tmp_path: Path, png: Callable[[np.ndarray], bytes]) -> ImageZip:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as made:
        for number in range(3):
            made.writestr(f"{number}.png", png(np.full((4, 4), number, np.uint8)))
    return ImageZip(path=str(tmp_path / "a.zip"), on_bad_image="skip")


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES])
@pytest.mark.parametrize("method", ["read", "__init__"])
def test_of_a_zip(archive: ImageZip, method: str, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*given: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(zipfile.ZipFile, method, fails)
    with pytest.raises(InputError, match=r"a\.zip: cannot be read") as raised:
        archive.load()
    assert not isinstance(raised.value, DataError)


def test_of_a_zip_without_memory(archive: ImageZip, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*given: object) -> None:
        raise MemoryError

    monkeypatch.setattr(zipfile.ZipFile, "read", fails)
    with pytest.raises(StepError, match="too little memory"):
        archive.load()


@pytest.mark.parametrize(("raised", "kept"), [(lmdb.MemoryError, None), (lmdb.CorruptedError, 2)])
def test_of_a_database(
    tmp_path: Path,
    png: Callable[[np.ndarray], bytes],
    monkeypatch: pytest.MonkeyPatch,
    raised: type[Exception],
    kept: int | None,
) -> None:
    """A damaged image is left out; an image that merely could not be read ends the loading."""
    with lmdb.open(str(tmp_path / "rooms")) as made, made.begin(write=True) as transaction:
        for number in range(3):
            transaction.put(str(number).encode(), png(np.full((4, 4), number, np.uint8)))
    value = lsun_lmdb._value

    def failing(environment: lmdb.Environment, key: bytes, name: str) -> bytes:
        class Failing:
            def begin(self) -> None:
                raise raised("no")

        return value(Failing() if key == b"1" else environment, key, name)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(lsun_lmdb, "_value", failing)
    settings = LsunLmdb(path=str(tmp_path / "rooms"), on_bad_image="skip")
    if kept is None:
        with pytest.raises(StepError, match="key 1: could not be read now"):
            settings.load()
    else:
        assert len(settings.load().images) == kept
