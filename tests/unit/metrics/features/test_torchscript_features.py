import pickle
from pathlib import Path

import pytest
import torch
from feature_networks import TinyFloats, save_script
from torch import Tensor, nn

from ganguard.audit.plan.plan import make_plan
from ganguard.audit.spec.spec import Spec
from ganguard.base.compute import Compute
from ganguard.base.errors import CheckpointError, MetricError, SpecError
from ganguard.base.images import to_float
from ganguard.base.settings import parse
from ganguard.metrics.features.network import extract, parse_features, pinned
from ganguard.metrics.features.torchscript import TorchScript


class Echo(nn.Module):
    """The type, range and shape of the images, as features."""

    def forward(self, images: Tensor) -> Tensor:
        whole = float(images.dtype == torch.uint8)
        said = torch.tensor([whole, float(images.shape[1]), float(images.shape[2]), float(images.shape[3])])
        low, high = images.float().amin(dim=[1, 2, 3]), images.float().amax(dim=[1, 2, 3])
        return torch.cat([said.expand(len(images), 4), torch.stack([low, high], dim=1)], dim=1)


class Gives(nn.Module):
    """Rows that no feature network gives."""

    def __init__(self, what: str) -> None:
        super().__init__()
        self.what = what

    def forward(self, images: Tensor) -> Tensor:
        rows = images.float().mean(dim=[2, 3])
        if self.what == "one row":
            return rows[:1]
        if self.what == "maps":
            return images.float()
        if self.what == "nothing":
            return rows[:, :0]
        if self.what == "NaN":
            return rows * float("nan")
        if self.what == "other widths":
            return rows.expand(-1, 1 + int(len(images) % 2))
        return rows


class Pair(nn.Module):
    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return images, images


class Half(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3, dtype=torch.bfloat16))

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1) * self.weight[0]


def _settings(path: Path, **values: object) -> TorchScript:
    return TorchScript(**{"path": str(path), "trusted": True, **values})


def _images(count: int = 3, channels: int = 1, side: int = 4) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, channels, side, side), generator=generator).to(torch.uint8)


def _run(
    module: nn.Module, directory: Path, compute: Compute, images: Tensor | None = None, **values: object
) -> Tensor:
    network = _settings(save_script(module, directory / "n.pt"), **values).load(directory, 1)
    return extract(network, _images() if images is None else images, compute)


def test_features_are_what_the_program_makes_of_floats(tmp_path: Path, compute: Compute) -> None:
    network = TinyFloats()
    found = _run(network, tmp_path, compute)
    assert torch.allclose(found, network.eval()(to_float(_images())), atol=1e-6)


@pytest.mark.parametrize(("kind", "whole", "low", "high"), [("float", 0, -1, 1), ("uint8", 1, 0, 255)])
def test_the_input_setting_decides_what_it_sees(
    tmp_path: Path, compute: Compute, kind: str, whole: int, low: float, high: float
) -> None:
    images = _images()
    images[:, :, 0, 0], images[:, :, 0, 1] = 0, 255
    assert _run(Echo(), tmp_path, compute, images, input=kind)[0].tolist() == [whole, 1, 4, 4, low, high]


def test_size_and_channels_are_made(tmp_path: Path, compute: Compute) -> None:
    found = _run(Echo(), tmp_path, compute, size=9, channels=3, input="uint8")
    assert found[0, :4].tolist() == [1, 3, 9, 9]
    assert (found[:, 4] >= 0).all()
    assert (found[:, 5] <= 255).all()


def test_colour_is_not_made_grey_in_silence(tmp_path: Path, compute: Compute) -> None:
    with pytest.raises(MetricError, match="takes grey images; these have 3 channels"):
        _run(Echo(), tmp_path, compute, _images(channels=3), channels=1)


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("one row", r"must give features \(3, D\) for 3 images; got torch\.float32 \(1, 1\)"),
        ("maps", r"got torch\.float32 \(3, 1, 4, 4\)"),
        ("nothing", r"got torch\.float32 \(3, 0\)"),
        ("NaN", "gave NaN or infinity"),
    ],
)
def test_what_are_no_features_is_refused(tmp_path: Path, compute: Compute, what: str, said: str) -> None:
    with pytest.raises(MetricError, match=said):
        _run(Gives(what), tmp_path, compute)


def test_a_pair_is_refused(tmp_path: Path, compute: Compute) -> None:
    with pytest.raises(MetricError, match="for 3 images; got tuple"):
        _run(Pair(), tmp_path, compute)


def test_a_width_that_changes_is_refused(tmp_path: Path, compute: Compute) -> None:
    with pytest.raises(
        MetricError, match=r"must give features \(1, 1\) for 1 images; got torch\.float32 \(1, 2\)"
    ):
        _run(Gives("other widths"), tmp_path, compute, _images(257))


def test_what_the_program_raises_is_told_in_one_line(tmp_path: Path, compute: Compute) -> None:
    with pytest.raises(
        MetricError, match=r"n\.pt: failed on torch\.float32 images \(3, 1, 4, 4\): .*mat1 and mat2"
    ) as caught:
        _run(nn.Linear(5, 2), tmp_path, compute)
    assert "\n" not in str(caught.value)


def test_the_first_call_is_as_the_others(tmp_path: Path, compute: Compute) -> None:
    network = _settings(save_script(TinyFloats(), tmp_path / "n.pt")).load(tmp_path, 1)
    first, *others = [extract(network, _images(), compute) for _ in range(4)]
    assert all(torch.equal(first, other) for other in others)


@pytest.mark.parametrize("there", [True, False])
def test_a_file_that_is_not_trusted_is_not_opened(tmp_path: Path, there: bool) -> None:
    if there:
        save_script(TinyFloats(), tmp_path / "n.pt")
    with pytest.raises(CheckpointError, match=r"n\.pt: TorchScript can run code\. Set `trusted: true`"):
        _settings(tmp_path / "n.pt", trusted=False).load(tmp_path, 1)


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        CheckpointError, match=r"n\.pt: no such file\. Give the path of a TorchScript feature network"
    ):
        _settings(tmp_path / "n.pt").load(tmp_path, 1)


class Bomb:
    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.mkdir, (self.proof,)


@pytest.mark.parametrize("write", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))])
def test_even_a_trusted_pickle_is_not_run(tmp_path: Path, write: object) -> None:
    write(Bomb(tmp_path / "it-ran"), tmp_path / "n.pt")
    with pytest.raises(CheckpointError, match="not a TorchScript file"):
        _settings(tmp_path / "n.pt").load(tmp_path, 1)
    assert not (tmp_path / "it-ran").exists()


def test_weights_that_cannot_be_hashed_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"n\.pt: its weights must not be bfloat16"):
        _settings(save_script(Half(), tmp_path / "n.pt")).load(tmp_path, 1)


def test_another_file_in_the_place_of_a_pinned_one_is_refused(tmp_path: Path) -> None:
    settings = pinned(_settings(save_script(TinyFloats(), tmp_path / "n.pt")))
    settings.load(tmp_path, 1)
    save_script(TinyFloats(), tmp_path / "n.pt", seed=1)
    for ask in (settings.fingerprint, lambda: settings.load(tmp_path, 1), lambda: pinned(settings)):
        with pytest.raises(
            CheckpointError, match=r"n\.pt: its SHA-256 must be [0-9a-f]{64}; it is [0-9a-f]{64}\. Restore"
        ):
            ask()


@pytest.mark.parametrize("sha256", ["", "abc", "g" * 64, "A" * 64, 3])
def test_what_is_no_sha256_is_refused(sha256: object) -> None:
    with pytest.raises(SpecError, match=r"^torchscript\.sha256: "):
        parse_features({"kind": "torchscript", "path": "n.pt", "sha256": sha256})


def test_an_audit_takes_its_features_anew_when_the_file_changes(tmp_path: Path) -> None:
    save_script(TinyFloats(), tmp_path / "n.pt")
    values = {
        "target": {"train": {"dataset": "digits", "architecture": "sngan", "steps": 10}},
        "real": "digits",
        "features": {"kind": "torchscript", "path": str(tmp_path / "n.pt"), "trusted": True},
        "attacks": [{"kind": "fidelity", "architecture": "sngan", "query_budget": 10}],
    }

    def features_step() -> dict[str, object]:
        return next(
            step.settings for step in make_plan(parse(Spec, values, "spec")).steps if step.kind == "features"
        )

    before = features_step()
    assert features_step() == before
    save_script(TinyFloats(), tmp_path / "n.pt", seed=1)
    assert features_step() != before
