import hashlib
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from feature_networks import DIMENSIONS, TinyFloats, TinyInception, save_script
from torch import Tensor, nn

from ganguard.base.cache import TEMPORARY, cache_directory, file_digest
from ganguard.base.compute import Compute
from ganguard.base.download import download
from ganguard.base.errors import CheckpointError
from ganguard.metrics.features import inception as inception_module
from ganguard.metrics.features.inception import NAME, SHA256, Inception
from ganguard.metrics.features.network import extract

IMAGES = torch.randint(0, 256, (5, 3, 10, 10), generator=torch.Generator().manual_seed(0)).to(torch.uint8)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return save_script(TinyInception(), tmp_path / "inception.pt")


@pytest.fixture
def published(file: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file, as if its SHA-256 were that of the published one."""
    monkeypatch.setattr(inception_module, "SHA256", file_digest(file))
    return file


def test_features_and_probabilities_are_the_programs(tmp_path: Path, file: Path, compute: Compute) -> None:
    program = TinyInception()
    save_script(program, tmp_path / "same.pt")
    program.eval()
    network = Inception(path=str(file), trusted=True).load(tmp_path, 3)
    with torch.no_grad():
        assert torch.allclose(
            extract(network, IMAGES, compute), program(IMAGES, return_features=True), atol=1e-6
        )
        found = extract(network, IMAGES, compute, output="probabilities")
        assert torch.allclose(found, program(IMAGES, no_output_bias=True), atol=1e-6)
        assert not torch.allclose(found, program(IMAGES), atol=1e-3)


def test_grey_images_are_repeated(tmp_path: Path, file: Path, compute: Compute) -> None:
    network = Inception(path=str(file), trusted=True).load(tmp_path, 1)
    grey = IMAGES[:, :1]
    for output in ("features", "probabilities"):
        found = extract(network, grey, compute, output=output)
        assert torch.equal(found, extract(network, grey.repeat(1, 3, 1, 1), compute, output=output))


def test_few_images_go_through_at_once(
    tmp_path: Path, file: Path, compute: Compute, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = Inception(path=str(file), trusted=True).load(tmp_path, 1)
    seen: list[int] = []
    features = network.features

    def counted(images: Tensor) -> Tensor:
        seen.append(len(images))
        return features(images)

    monkeypatch.setattr(network, "features", counted)
    extract(network, torch.zeros(150, 1, 4, 4, dtype=torch.uint8), compute)
    assert seen == [64, 64, 22]


def test_another_file_must_be_trusted(tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.jit.load", lambda *a, **k: pytest.fail("it was opened"))
    with pytest.raises(
        CheckpointError,
        match=rf"its SHA-256 must be {SHA256}.*; it is {file_digest(file)}\. .*`trusted: true`",
    ):
        Inception(path=str(file)).load(tmp_path, 3)


def test_the_published_file_is_trusted(tmp_path: Path, published: Path, compute: Compute) -> None:
    network = Inception(path=str(published)).load(tmp_path, 3)
    assert extract(network, IMAGES, compute).shape == (5, DIMENSIONS)


def test_a_pinned_hash_is_not_trust(tmp_path: Path, file: Path) -> None:
    with pytest.raises(CheckpointError, match="`trusted: true`"):
        Inception(path=str(file), sha256=file_digest(file)).load(tmp_path, 3)


def test_another_than_the_pinned_file_is_refused(tmp_path: Path, file: Path) -> None:
    with pytest.raises(CheckpointError, match=rf"inception\.pt: its SHA-256 must be {'0' * 64}; it is"):
        Inception(path=str(file), trusted=True, sha256="0" * 64).load(tmp_path, 3)
    with pytest.raises(CheckpointError, match=rf"{NAME}: its SHA-256 must be {'0' * 64}; it is {SHA256}"):
        Inception(sha256="0" * 64).fingerprint()


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        CheckpointError, match=r"absent: no such file\. Give the path of inception-2015-12-05\.pt, or leave"
    ):
        Inception(path=str(tmp_path / "absent")).fingerprint()


class NoClasses(nn.Module):
    def forward(self, img: Tensor, return_features: bool = False, no_output_bias: bool = False) -> Tensor:
        return img.float().mean(dim=[2, 3])


@pytest.mark.parametrize(
    ("module", "said"),
    [(TinyFloats(), r"forward\(\) expected at most 2 argument"), (NoClasses(), "probabilities must be")],
)
def test_a_file_of_another_interface_is_refused(tmp_path: Path, module: nn.Module, said: str) -> None:
    file = save_script(module, tmp_path / "other.pt")
    with pytest.raises(
        CheckpointError, match=rf"other\.pt: must have the interface of {NAME}; it does not \(.*{said}"
    ) as caught:
        Inception(path=str(file), trusted=True).load(tmp_path, 3)
    assert "\n" not in str(caught.value)


def test_what_is_no_program_is_refused(tmp_path: Path) -> None:
    (tmp_path / "i.pt").write_bytes(b"no program")
    with pytest.raises(CheckpointError, match=r"i\.pt: not a TorchScript file"):
        Inception(path=str(tmp_path / "i.pt"), trusted=True).load(tmp_path, 3)


Serve = Callable[[bytes], str]


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Serve, list[str]]]:
    """Serve bytes at a URL on this machine, and write down what was asked for."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    content: dict[str, bytes] = {}
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            if self.path not in content:
                self.send_error(404)
                return
            self.send_response(200)
            self.end_headers()
            self.wfile.write(content[self.path])

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()

    def serve(body: bytes) -> str:
        content["/file"] = body
        return f"http://127.0.0.1:{server.server_port}/file"

    yield serve, asked
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_published_file_is_downloaded_once(
    tmp_path: Path,
    published: Path,
    served: tuple[Serve, list[str]],
    monkeypatch: pytest.MonkeyPatch,
    compute: Compute,
) -> None:
    serve, asked = served
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(inception_module, "URL", serve(published.read_bytes()))
    assert Inception().fingerprint() == file_digest(published)
    assert asked == []
    networks = [Inception().load(tmp_path, 3) for _ in range(2)]
    assert asked == ["/file"]
    assert (tmp_path / "cache" / "ganguard" / NAME).read_bytes() == published.read_bytes()
    assert torch.equal(extract(networks[0], IMAGES, compute), extract(networks[1], IMAGES, compute))


def test_a_damaged_download_is_fetched_again(tmp_path: Path, served: tuple[Serve, list[str]]) -> None:
    serve, asked = served
    url, file = serve(b"whole"), tmp_path / "file"
    file.write_bytes(b"whol")
    assert download(url, file, hashlib.sha256(b"whole").hexdigest(), 100).read_bytes() == b"whole"
    assert asked == ["/file"]


@pytest.mark.parametrize(
    ("most", "said"), [(100, "sent 5 bytes with the SHA-256"), (4, "sent more than 4 bytes")]
)
def test_other_bytes_are_not_kept(
    tmp_path: Path, served: tuple[Serve, list[str]], most: int, said: str
) -> None:
    url = served[0](b"other")
    with pytest.raises(
        CheckpointError, match=rf"^{url}: {said}.*\. Or download file on another machine, and set `path`"
    ):
        download(url, tmp_path / "file", "0" * 64, most)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_fetched_is_one_clear_error(tmp_path: Path, served: tuple[Serve, list[str]]) -> None:
    url = served[0](b"").replace("/file", "/absent")
    with pytest.raises(
        CheckpointError, match=r"/absent: cannot be downloaded \(HTTP Error 404: Not Found\)\. .*set `path`"
    ):
        download(url, tmp_path / "file", "0" * 64, 100)
    with pytest.raises(CheckpointError, match=r"cannot be downloaded \(.*refused"):
        download("http://127.0.0.1:9/file", tmp_path / "file", "0" * 64, 100)
    assert not [file for file in tmp_path.iterdir() if file.name.endswith(TEMPORARY)]


def test_the_cache_is_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert cache_directory() == tmp_path / ".cache" / "ganguard"
