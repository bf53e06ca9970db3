from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from ganguard.base.compute import Compute
from ganguard.base.errors import TargetError
from ganguard.targets.batching import MICRO_BATCH, in_micro_batches
from ganguard.targets.discriminator import ModuleDiscriminator
from ganguard.targets.module import ModuleTarget, WhiteBoxModuleTarget

CPU = torch.device("cpu")


class Paint(nn.Module):
    """A generator that fills every image with tanh of its first code; `change` then alters the batch for the
    test.
    """

    def __init__(self, change: Callable[[Tensor], object] = lambda images: images) -> None:
        super().__init__()
        self.change = change

    def forward(self, z: Tensor) -> object:
        return self.change(z[:, :1, None, None].tanh().expand(-1, 1, 4, 4).clone())


def _target(module: nn.Module, compute: Compute) -> ModuleTarget:
    return ModuleTarget(module, latent_dim=3, identity="test", compute=compute)


@pytest.mark.parametrize("rows", [1, 63, 64, 65, 200])
def test_a_network_only_sees_whole_micro_batches(rows: int) -> None:
    seen: list[int] = []

    def double(batch: Tensor) -> Tensor:
        seen.append(len(batch))
        return 2 * batch

    x = torch.arange(rows * 2.0).view(rows, 2)
    assert torch.equal(in_micro_batches(double, x, CPU), 2 * x)
    assert set(seen) == {MICRO_BATCH}
    assert len(seen) == -(-rows // MICRO_BATCH)


def test_images_are_the_floats_in_bytes(compute: Compute) -> None:
    target = _target(Paint(), compute)
    assert target.image_shape == (1, 4, 4)
    codes = torch.tensor([[-9.0, 0, 0], [0.0, 0, 0], [9.0, 0, 0]])
    assert target.generate(codes)[:, 0, 0, 0].tolist() == [0, 128, 255]


def test_codes_are_standard_normal(compute: Compute) -> None:
    codes = _target(Paint(), compute).draw_latents(range(4000), seed=1)
    assert codes.shape == (4000, 3)
    assert torch.allclose(codes.mean(0), torch.zeros(3), atol=0.06)
    assert torch.allclose(codes.T.cov(), torch.eye(3), atol=0.08)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda x: (x + 1) * 127.5, r"in \[-1, 1\]; got \[\d.*, 2\d\d"),
        (lambda x: (x + 1) / 2, r"in \[-1, 1\]; got \[0"),
        (lambda x: 1.1 * x, r"in \[-1, 1\]; got"),
        (lambda x: x * float("nan"), "NaN or infinity"),
        (lambda x: x / 0, "NaN or infinity"),
        (lambda x: ((x + 1) * 127.5).byte(), r"float tensor.*got torch.uint8"),
        (lambda x: x.numpy(), "float tensor.*got ndarray"),
        (lambda x: (x, x), "float tensor.*got tuple"),
        (lambda x: x[:, 0], r"got \(64, 4, 4\)"),
        (lambda x: x[:7], r"got \(7, 1, 4, 4\)"),
        (lambda x: x.expand(-1, 5, -1, -1), r"C of 1 to 4 .*got \(64, 5, 4, 4\)"),
        (lambda x: x.permute(0, 2, 3, 1), r"got \(64, 4, 4, 1\)"),
        (lambda x: x.expand(-1, 3, -1, -1).permute(0, 2, 3, 1), r"got \(64, 4, 4, 3\)"),
        (lambda x: x @ torch.zeros(3, 3), "the generator raised on codes"),
        (lambda x: {}["image"], "the generator raised on codes.*'image'"),
    ],
    ids=[
        "bytes range",
        "unit range",
        "slightly outside",
        "NaN",
        "infinity",
        "uint8",
        "numpy",
        "tuple",
        "no channels",
        "fewer",
        "five channels",
        "channels last",
        "opacity, channels last",
        "torch raises",
        "python raises",
    ],
)
def test_what_is_no_image_is_refused_at_once(
    compute: Compute, change: Callable[[Tensor], object], said: str
) -> None:
    with pytest.raises(TargetError, match=said) as caught:
        _target(Paint(change), compute)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_images_have_one_to_four_channels(compute: Compute, channels: int) -> None:
    target = _target(Paint(lambda x: x.expand(-1, channels, -1, -1)[..., :2]), compute)
    assert target.image_shape == (channels, 4, 2)
    assert target.sample(range(5), seed=1).shape == (5, channels, 4, 2)


def test_a_hair_outside_the_range_is_let_in(compute: Compute) -> None:
    """Resampling filters overshoot by a fraction of a level."""
    assert _target(Paint(lambda x: 1.005 * x), compute).image_shape == (1, 4, 4)


def test_nan_that_comes_later_is_refused(compute: Compute) -> None:
    target = _target(Paint(lambda x: torch.where(x > 0.9999, torch.nan, x)), compute)
    with pytest.raises(TargetError, match="NaN"):
        target.generate(torch.full((1, 3), 20.0))


@pytest.mark.parametrize(
    "codes",
    [torch.zeros(2, 4), torch.zeros(3), torch.full((2, 3), torch.nan), torch.full((2, 3), torch.inf)],
    ids=["width", "one code", "NaN", "infinity"],
)
def test_other_codes_are_refused(compute: Compute, codes: Tensor) -> None:
    with pytest.raises(TargetError, match=r"finite and \(N, 3\)"):
        _target(Paint(), compute).generate(codes)


def test_codes_of_another_precision_are_taken(compute: Compute) -> None:
    target = _target(Paint(), compute)
    assert torch.equal(
        target.generate(torch.ones(1, 3, dtype=torch.float64)), target.generate(torch.ones(1, 3))
    )


def test_a_generator_that_was_left_training_is_run_as_trained(compute: Compute) -> None:
    """BatchNorm in training mode would normalise by the other images of a request, and change with every
    query.
    """

    class Normed(Paint):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm1d(3)

        def forward(self, z: Tensor) -> object:
            return super().forward(self.norm(z))

    module = Normed().train()
    target = _target(module, compute)
    codes = torch.full((1, 3), 0.5)
    wanted = ((torch.tensor(0.5 / (1 + 1e-5) ** 0.5).tanh() + 1) * 127.5).round().item()
    assert target.generate(codes)[0, 0, 0, 0].item() == wanted
    assert module.norm.num_batches_tracked.item() == 0


def test_threads_are_those_of_the_compute() -> None:
    seen: list[int] = []

    def look(images: Tensor) -> Tensor:
        seen.append(torch.get_num_threads())
        return images

    before = torch.get_num_threads()
    _target(Paint(look), Compute(threads=2)).sample(range(3), seed=0)
    assert set(seen) == {2}
    assert torch.get_num_threads() == before


class Mean(nn.Module):
    """D whose score is the mean pixel; `shape` is what a score looks like."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.shape = shape
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, images: Tensor) -> Tensor:
        return self.weight * images.mean(dim=(1, 2, 3)).view(-1, *self.shape)


@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
def test_scores_are_one_number_an_image_in_order(compute: Compute, shape: tuple[int, ...]) -> None:
    images = torch.tensor([0, 255, 51], dtype=torch.uint8).view(3, 1, 1, 1).expand(3, 1, 4, 4)
    scores = ModuleDiscriminator(Mean(*shape), compute).scores(images)
    assert scores.tolist() == pytest.approx([-1, 1, -0.6], abs=1e-6)


def test_patch_scores_are_refused(compute: Compute) -> None:
    patches = nn.Conv2d(1, 1, 3)
    with pytest.raises(TargetError, match=r"one score an image; got shape \(2, 1, 2, 2\)"):
        ModuleDiscriminator(patches, compute).scores(torch.zeros(2, 1, 4, 4, dtype=torch.uint8))


def test_a_discriminator_without_features_says_so(compute: Compute) -> None:
    discriminator = ModuleDiscriminator(Mean(), compute)
    with pytest.raises(TargetError, match="must have a method features"):
        discriminator.features(torch.zeros(2, 1, 4, 4, dtype=torch.uint8))


def test_only_images_are_scored(compute: Compute) -> None:
    with pytest.raises(TargetError, match="images must be a uint8 tensor"):
        ModuleDiscriminator(Mean(), compute).scores(torch.zeros(2, 1, 4, 4))


def test_training_the_copy_leaves_the_targets_own(compute: Compute) -> None:
    module = Mean().requires_grad_(False)
    target = WhiteBoxModuleTarget(Paint(), module, latent_dim=3, identity="test", compute=compute)
    copied = target.discriminator.module()
    assert all(p.requires_grad for p in copied.parameters())
    with torch.no_grad():
        copied.weight.fill_(100)
    white = torch.full((1, 1, 4, 4), 255, dtype=torch.uint8)
    assert target.discriminator.scores(white).item() == pytest.approx(1)
