"""The contract of every target adapter, wherever its generator comes from."""

import importlib
import itertools
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ganguard.architectures.checkpoint import load_checkpoint, save_checkpoint
from ganguard.architectures.networks import build_networks, parse_architecture
from ganguard.base.compute import Compute
from ganguard.base.errors import TargetError
from ganguard.base.seeds import seeded_weights
from ganguard.targets import TARGETS
from ganguard.targets.load import load_target, parse_target
from ganguard.targets.protocol import LatentTarget, WhiteBoxTarget

FACTORY = """
from pathlib import Path
from ganguard.architectures.checkpoint import load_checkpoint

def make():
    networks = load_checkpoint(Path({path!r})).networks
    return networks.generator.train(), networks.discriminator.train()
"""
# It leaves dirt in the process when it is imported, when the factory is called, and at each forward.
DIRTY = """
import os, random, sys, warnings
import numpy as np
import torch
from PIL import ImageFile

from pathlib import Path
from ganguard.architectures.checkpoint import load_checkpoint

torch.set_grad_enabled(False)
sys.argv.append("--theirs")


def leave_dirt():
    torch.manual_seed(0), np.random.seed(0), random.seed(0)
    torch.set_default_dtype(torch.float64)
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    os.environ["LEFT_BY_A_GENERATOR"] = "yes"
    os.chdir("/")
    sys.stdout = sys.stderr
    warnings.simplefilter("error")


class Dirty(torch.nn.Module):
    latent_shape = (5, 1, 1)

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, z):
        leave_dirt()
        images = self.inner(z.flatten(1)).float()
        z.zero_()
        return images


leave_dirt()


def make():
    torch.set_default_dtype(torch.float32)
    networks = load_checkpoint(Path({path!r})).networks
    leave_dirt()
    return Dirty(networks.generator)


def code(generator):
    leave_dirt()
    return torch.rand(5, 1, generator=generator) - 0.5
"""
_NUMBERS = itertools.count()
Settings = dict[str, object]


def _checkpoint(gan: Path, folder: Path) -> Settings:
    return {"checkpoint": str(gan)}


def _python(gan: Path, folder: Path) -> Settings:
    name = f"contract_factory_{next(_NUMBERS)}"
    (folder / f"{name}.py").write_text(FACTORY.format(path=str(gan)))
    importlib.invalidate_caches()
    return {"python": f"{name}:make"}


def _torchscript(gan: Path, folder: Path) -> Settings:
    generator = load_checkpoint(gan).networks.generator
    path = folder / f"{gan.name}.ts"
    with warnings.catch_warnings():
        # torch deprecates TorchScript, but users still have such files
        warnings.simplefilter("ignore", DeprecationWarning)
        # a trace fixes the number of codes, and targets always send 64
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        torch.jit.save(torch.jit.trace(generator, torch.zeros(64, 5)), path)
    return {"torchscript": str(path), "latent_dim": 5, "trusted": True}


def _hub(gan: Path, folder: Path) -> Settings:
    """Lay out a repository as the hub's client does in its cache."""
    kept = folder / "hub" / f"models--owner--{gan.name}"
    commit = "0123456789abcdef" * 2 + "01234567"
    shutil.copytree(gan, kept / "snapshots" / commit, dirs_exist_ok=True)
    (kept / "refs").mkdir(exist_ok=True)
    (kept / "refs" / "main").write_text(commit)
    return {"hub": f"owner/{gan.name}"}


def _exported(gan: Path, folder: Path) -> Settings:
    generator = load_checkpoint(gan).networks.generator.eval()
    path = folder / f"{gan.name}.pt2"
    torch.export.save(torch.export.export(generator, (torch.zeros(64, 5),)), path)
    return {"exported": str(path), "trusted": True}


def _onnx(gan: Path, folder: Path) -> Settings:
    path = folder / f"{gan.name}.onnx"
    generator = load_checkpoint(gan).networks.generator.eval()
    with warnings.catch_warnings():
        # torch deprecates this exporter; its successor needs another package
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # a trace fixes the number of codes
        torch.onnx.export(generator, (torch.zeros(64, 5),), path, dynamo=False)
    return {"onnx": str(path)}


MIMICRY = (
    ("project", "l1"),
    ("blocks.0.shortcut", "block2.c_sc"),
    ("blocks.0.norm", "block2.b"),
    ("blocks.0.conv", "block2.c"),
    ("norm", "b3"),
    ("to_image", "c3"),
)


def _state_dict(gan: Path, folder: Path) -> Settings:
    """The same network by the names that mimicry gives its parts."""
    weights = load_checkpoint(gan).networks.generator.state_dict()
    for ours, theirs in MIMICRY:
        weights = {
            theirs + name.removeprefix(ours) if name.startswith(ours) else name: value
            for name, value in weights.items()
        }
    path = folder / f"{gan.name}.pth"
    torch.save({"model_state_dict": weights, "optimizer_state_dict": None, "global_step": 0}, path)
    return {"state_dict": str(path)}


def _dirty(gan: Path, folder: Path) -> Settings:
    name = f"contract_dirty_{next(_NUMBERS)}"
    (folder / f"{name}.py").write_text(DIRTY.format(path=str(gan)))
    importlib.invalidate_caches()
    return {"python": f"{name}:make", "prior": f"python:{name}:code", "batch": 24}


def _flow(gan: Path, folder: Path) -> Settings:
    """Put a rectified flow, which has no discriminator, in the place of the GAN."""
    architecture = parse_architecture({"kind": "flow", "width": 4, "solver_steps": 3})
    with seeded_weights(int(gan.name.removeprefix("gan") or 0)):
        networks = build_networks(architecture, (1, 8, 8))
        for parameter in networks.generator.parameters():
            torch.nn.init.normal_(parameter, 0.0, 0.2)  # a new flow stands still
    return {"checkpoint": str(save_checkpoint(gan, networks, architecture, (1, 8, 8), {"steps": 0}))}


def _with(adapter: Callable[[Path, Path], Settings], **settings: object) -> Callable[[Path, Path], Settings]:
    return lambda gan, folder: adapter(gan, folder) | settings


ADAPTERS: dict[str, Callable[[Path, Path], Settings]] = {
    "checkpoint": _checkpoint,
    "exported": _exported,
    "hub": _hub,
    "onnx": _onnx,
    "python": _python,
    "state_dict": _state_dict,
    "torchscript": _torchscript,
}
VARIANTS = {
    "python that leaves dirt": _dirty,
    "a flow": _flow,
    "onnx, codes from a sphere": _with(_onnx, prior={"kind": "sphere", "radius": 2.2}),
    "torchscript, uniform codes": _with(_torchscript, prior="uniform"),
    "exported, truncated codes": _with(_exported, prior={"kind": "truncated", "std": 0.7}, batch=8),
}
Open = Callable[..., LatentTarget]


def test_every_adapter_is_under_contract() -> None:
    without_generator = {"diffusers", "http", "images", "openai", "url"}  # they have tests of their own
    assert set(ADAPTERS) | without_generator == set(TARGETS.builtin)


SLOW = ("onnx, codes from a sphere", "torchscript, uniform codes", "exported, truncated codes")


@pytest.fixture(
    params=[
        pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name
        for name in [*ADAPTERS, *VARIANTS]
    ]
)
def open_target(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tiny_checkpoint: Callable[..., Path],
    compute: Compute,
) -> Open:
    """Open an untrained SNGAN for 8x8 grey images, with weights of the given seed, through one adapter."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)

    def load(seed: int = 0) -> LatentTarget:
        gan = tiny_checkpoint(tmp_path / f"gan{seed}", seed=seed)
        settings = parse_target((ADAPTERS | VARIANTS)[request.param](gan, tmp_path))
        assert parse_target(settings.model_dump(mode="json")) == settings
        return load_target(settings, compute)

    return load


def test_images_have_the_shape_that_the_target_states(open_target: Open, tmp_path: Path) -> None:
    target = open_target()
    assert isinstance(target, LatentTarget)
    codes = load_checkpoint(tmp_path / "gan0").networks.generator.latent_dim
    assert (target.image_shape, target.latent_dim) == ((1, 8, 8), codes)
    images = target.sample(range(3), seed=0)
    assert images.dtype == torch.uint8
    assert images.shape == (3, 1, 8, 8)
    assert len(images.unique()) > 10


def test_sampling_is_drawing_latents_and_generating(open_target: Open) -> None:
    target = open_target()
    codes = target.draw_latents(range(60, 80), seed=3)
    assert torch.equal(target.sample(range(60, 80), seed=3), target.generate(codes))


def test_images_are_the_generators_own(open_target: Open, tmp_path: Path) -> None:
    target = open_target()
    codes = target.draw_latents(range(7), seed=0)
    with torch.inference_mode():
        wanted = load_checkpoint(tmp_path / "gan0").networks.generator(codes)
    assert (target.generate(codes).float() - (wanted.clamp(-1, 1) + 1) * 127.5).abs().max() <= 0.51


@pytest.mark.parametrize(
    "cuts", [[0, 1, 150], [0, 64, 128, 150], [0, 63, 65, 149, 150], list(range(0, 151, 10))]
)
def test_images_are_bit_equal_however_a_request_is_cut(open_target: Open, cuts: list[int]) -> None:
    target = open_target()
    whole = target.sample(range(150), seed=1)
    parts = [target.sample(range(start, stop), seed=1) for start, stop in itertools.pairwise(cuts)]
    assert torch.equal(torch.cat(parts), whole)


def test_seeds_and_indices_give_other_images(open_target: Open) -> None:
    target = open_target()
    first = target.sample(range(20), seed=0)
    assert not (first == target.sample(range(20), seed=1)).flatten(1).all(1).any()
    assert len(first.flatten(1).unique(dim=0)) == 20


def test_the_identity_changes_with_the_weights_alone(open_target: Open) -> None:
    identities = [open_target(seed).identity.rpartition(":")[2] for seed in (0, 0, 1)]
    # the same trace, saved twice, gives two different files
    assert identities[0] == identities[1] or "torchscript" in open_target().identity
    assert identities[0] != identities[2]


def test_codes_of_another_length_are_refused(open_target: Open) -> None:
    target = open_target()
    with pytest.raises(TargetError, match=rf"\(N, {target.latent_dim}\)"):
        target.generate(torch.zeros(2, target.latent_dim + 1))


def test_scores_do_not_depend_on_how_images_are_grouped(open_target: Open) -> None:
    target = open_target()
    if not isinstance(target, WhiteBoxTarget):
        pytest.skip("no discriminator came with this generator")
    images = target.sample(range(100), seed=0)
    whole = target.discriminator.scores(images)
    for size in (1, 33, 64):
        assert torch.equal(
            torch.cat([target.discriminator.scores(part) for part in images.split(size)]), whole
        )
    assert torch.equal(target.discriminator.features(images)[70:], target.discriminator.features(images[70:]))
    assert len(whole.unique()) > 50


def test_no_global_random_state_is_touched(open_target: Open) -> None:
    target = open_target()
    before = torch.get_rng_state()
    target.sample(range(3), seed=0)
    assert torch.equal(torch.get_rng_state(), before)
