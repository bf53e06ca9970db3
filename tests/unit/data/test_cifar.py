"""CIFAR's binary batches: from a folder, from the archive, and from a server; and what is refused."""

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from cifar_files import NAMES, TRAIN, cifar_archive, records, write_cifar

from ganguard.base.cache import cache_directory
from ganguard.base.errors import DataError, SpecError
from ganguard.data import cifar
from ganguard.data.cifar import LAYOUTS, Cifar
from ganguard.data.dataset import fingerprint, load_dataset, parse_dataset


@pytest.mark.parametrize("which", ["cifar10", "cifar100"])
@pytest.mark.parametrize("form", ["folder", "archive"])
def test_images_and_labels(tmp_path: Path, which: str, form: str) -> None:
    path = write_cifar(tmp_path / "batches", which)
    if form == "archive":
        (tmp_path / "x.tar.gz").write_bytes(cifar_archive(path))
        path = tmp_path / "x.tar.gz"
    settings = parse_dataset({"kind": "cifar", "set": which, "path": str(path), "part": "all"})
    real = load_dataset(settings)
    found = [records(which, 4, seed) for seed in range(len(TRAIN[which]) + 1)]
    assert np.array_equal(real.images.numpy(), np.concatenate([images for _, images in found]))
    assert settings.image_shape() == tuple(real.images.shape[1:])
    fine = np.concatenate([labels[:, -1] for labels, _ in found])
    assert real.labels is not None
    assert [real.classes[label] for label in real.labels.tolist()] == [f"thing {label}" for label in fine]
    train = load_dataset(settings.model_copy(update={"part": "train"}))
    test = load_dataset(settings.model_copy(update={"part": "test"}))
    assert len(train.images) == 4 * len(TRAIN[which]) and len(test.images) == 4
    assert np.array_equal(test.images.numpy(), found[-1][1])


def test_coarse_labels_and_names_that_are_not_there(tmp_path: Path) -> None:
    path = write_cifar(tmp_path / "batches", "cifar100", 12)
    settings = Cifar(set="cifar100", path=str(path), labels="coarse")
    assert load_dataset(settings).classes == ("sort 0", "sort 1", "sort 2")
    for name in NAMES["cifar100"]:
        (path / name).unlink()
    assert load_dataset(settings).classes == ("0", "1", "2")
    with pytest.raises(SpecError, match=r"labels coarse are CIFAR-100's"):
        parse_dataset({"kind": "cifar", "labels": "coarse"})


def test_a_path_to_batches_says_how_to_name_them(tmp_path: Path) -> None:
    path = str(write_cifar(tmp_path / "batches"))
    with pytest.raises(SpecError, match=r"holds CIFAR's batches\. Give \{kind: cifar, path: .*batches\}"):
        parse_dataset(path)


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    path = write_cifar(tmp_path / "batches")
    cut = path / "data_batch_3.bin"
    cut.write_bytes(cut.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"data_batch_3\.bin: 12,291 bytes are no whole number of records"):
        load_dataset(Cifar(path=str(path)))
    cut.unlink()
    with pytest.raises(DataError, match=r"data_batch_3\.bin"):
        fingerprint(Cifar(path=str(path)))
    with pytest.raises(DataError, match=r"holds no data_batch_3\.bin\. Give cifar-10-binary\.tar\.gz"):
        load_dataset(Cifar(path=str(path)))
    hundred = write_cifar(tmp_path / "hundred", "cifar100")
    for name in TRAIN["cifar10"]:
        (hundred / name).write_bytes(bytes([70]) + bytes(3072))
    with pytest.raises(DataError, match="a label is 70, but cifar10 has 10 classes"):
        load_dataset(Cifar(path=str(hundred)))
    with pytest.raises(SpecError, match="path or url, not both"):
        parse_dataset({"kind": "cifar", "path": "x", "url": "http://x"})


PICKLED = {"cifar10": ("data_batch_1", "test_batch", "batches.meta"), "cifar100": ("train", "test", "meta")}


def pickled(folder: Path, which: str) -> Path:
    """Write what the version for Python unpacks to."""
    folder.mkdir()
    for name in PICKLED[which]:
        (folder / name).write_bytes(b"\x80\x04cos\nsystem\n")
    return folder


@pytest.mark.parametrize("which", ["cifar10", "cifar100"])
@pytest.mark.parametrize("part", ["train", "test", "all"])
@pytest.mark.parametrize("form", ["folder", "archive"])
def test_pickles_are_not_read(tmp_path: Path, which: str, part: str, form: str) -> None:
    folder = pickled(tmp_path / "cifar-batches-py", which)
    (tmp_path / "x.tar.gz").write_bytes(cifar_archive(folder))
    path = folder if form == "folder" else tmp_path / "x.tar.gz"
    settings = parse_dataset({"kind": "cifar", "set": which, "part": part, "path": str(path)})
    for use in (load_dataset, fingerprint) if form == "folder" else (load_dataset,):
        with pytest.raises(
            DataError, match=r"version for Python, whose pickles are not read\. Give"
        ) as raised:
            use(settings)
        assert LAYOUTS[which].archive in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.parametrize("which", ["cifar10", "cifar100"])
def test_the_batches_of_the_other_set_are_named(tmp_path: Path, which: str) -> None:
    other = "cifar100" if which == "cifar10" else "cifar10"
    path = write_cifar(tmp_path / "batches", other)
    for use in (load_dataset, fingerprint):
        with pytest.raises(DataError, match=f"but the batches of {other}: set `set: {other}`"):
            use(parse_dataset({"kind": "cifar", "set": which, "path": str(path)}))


@pytest.mark.parametrize("which", ["cifar10", "cifar100"])
def test_bare_paths_of_every_form_are_told_how_to_be_named(tmp_path: Path, which: str) -> None:
    of = "" if which == "cifar10" else ", set: cifar100"
    number = which.removeprefix("cifar")
    binary, python = (tmp_path / f"cifar-{number}-{form}.tar.gz" for form in ("binary", "python"))
    binary.write_bytes(cifar_archive(write_cifar(tmp_path / "batches", which)))
    python.write_bytes(cifar_archive(pickled(tmp_path / "pickles", which)))
    for path in (tmp_path / "batches", binary):
        with pytest.raises(SpecError) as raised:
            parse_dataset(str(path))
        assert str(raised.value).endswith(f"Give {{kind: cifar{of}, path: {path}}}.")
    for path in (tmp_path / "pickles", python):
        with pytest.raises(SpecError, match="pickles, which are not read") as raised:
            parse_dataset(str(path))
        assert f"{{kind: cifar{of}, path: …}}" in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.parametrize("damage", ["cut", "no archive", "too large", "absent"])
def test_a_damaged_archive_is_refused(tmp_path: Path, damage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    content = cifar_archive(write_cifar(tmp_path / "batches"))
    if damage == "too large":
        monkeypatch.setattr(cifar, "MOST", 1000)
    if damage != "absent":
        written = {"cut": content[: len(content) // 2], "no archive": b"<html>"}.get(damage, content)
        (tmp_path / "x.tar.gz").write_bytes(written)
    said = {"too large": "too large for one of CIFAR's", "absent": "cannot be read"}.get(
        damage, "no whole archive"
    )
    with pytest.raises(DataError if damage != "absent" else Exception, match=said) as raised:
        load_dataset(Cifar(path=str(tmp_path / "x.tar.gz")))
    assert "\n" not in str(raised.value)


def test_no_flipped_bit_of_an_archive_goes_unseen(tmp_path: Path) -> None:
    """Whatever bit it is: what is read is what was packed, or one line says that it is damaged."""
    file = tmp_path / "x.tar.gz"
    content = cifar_archive(write_cifar(tmp_path / "batches"))
    file.write_bytes(content)
    whole = load_dataset(Cifar(path=str(file)))
    refused = 0
    for place in [*range(10, len(content), len(content) // 60), len(content) - 8]:
        file.write_bytes(content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :])
        try:
            again = load_dataset(Cifar(path=str(file)))
        except DataError as problem:
            refused += "\n" not in str(problem)
            continue
        assert torch.equal(again.images, whole.images), place
    assert refused >= 55


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, list[bytes]]]:
    """A server's address, and the content that it sends; without any it answers 404."""
    sent: list[bytes] = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if sent else 404)
            self.end_headers()
            self.wfile.write(sent[-1] if sent else b"")

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}/cifar-10-binary.tar.gz", sent
        running.shutdown()


def test_a_download_is_checked_and_kept(
    tmp_path: Path, server: tuple[str, list[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    url, sent = server
    content = cifar_archive(write_cifar(tmp_path / "batches"))
    sha256 = hashlib.sha256(content).hexdigest()
    layout = replace(LAYOUTS["cifar10"], sha256=sha256, size=len(content))
    monkeypatch.setitem(LAYOUTS, "cifar10", layout)
    settings = Cifar(url=url)
    assert fingerprint(settings) == sha256  # nothing is asked for it
    kept = cache_directory() / "datasets" / "cifar-10-binary.tar.gz"
    with pytest.raises(DataError, match=r"cannot be downloaded .*404.*and set `path` to the file\.$"):
        load_dataset(settings)
    sent.append(bytes([content[0] ^ 1]) + content[1:])
    with pytest.raises(DataError, match=f"published with {sha256}"):
        load_dataset(settings)
    assert not list(kept.parent.iterdir())
    sent.append(content)
    assert len(load_dataset(settings).images) == 20
    assert kept.read_bytes() == content
    sent.clear()
    assert len(load_dataset(settings).images) == 20  # it is not asked for again
