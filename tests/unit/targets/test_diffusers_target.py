"""Pipelines of diffusers as targets: the pipeline's own images, each a function of seed and index, and what
is refused."""

import itertools
import logging
import shutil
import warnings
from pathlib import Path
from typing import Any, cast

import numpy as np
import pipelines
import pytest
import torch
from pipelines import Saved, opened

from ganguard.base.compute import Compute
from ganguard.base.errors import TargetError
from ganguard.base.images import to_uint8
from ganguard.base.seeds import torch_generator
from ganguard.targets.diffusion.quiet import heard
from ganguard.targets.diffusion.target import LatentPipelineTarget
from ganguard.targets.load import fingerprint, load_target, parse_target
from ganguard.targets.protocol import LatentTarget, notes_of

NOISY = [("ddpm", None), ("ddpm", "euler_ancestral")]
PROMPTS = ["a cat", "a dog", "z"]


def own_images(path: Path, seed: int, indices: range, **said: Any) -> torch.Tensor:
    """What diffusers itself gives for the generators of these images, one at a time."""
    with heard():
        pipeline = pipelines.library().DiffusionPipeline.from_pretrained(str(path))
        pipeline.set_progress_bar_config(disable=True)
        images = [
            pipeline(
                generator=torch_generator(seed, "diffusion", str(i)),
                num_inference_steps=2,
                output_type="np",
                **{name: value(i) if callable(value) else value for name, value in said.items()},
            ).images
            for i in indices
        ]
    return torch.from_numpy(np.concatenate(images)).permute(0, 3, 1, 2) * 255


SLOW = pytest.mark.slow  # the libraries take seconds to import what these need
KINDS: list[Any] = [
    ("ddpm", {}, {}),
    ("ddim", {"eta": 1.0}, {"eta": 1.0}),
    pytest.param("dit", {}, {"class_labels": lambda i: [i]}, marks=SLOW),
    pytest.param("dit", {"labels": [7, 2]}, {"class_labels": lambda i: [(7, 2)[i % 2]]}, marks=SLOW),
    pytest.param(
        "texts",
        {"prompts": PROMPTS, "eta": 0.5, "others": {"guidance_scale": 3.0, "negative_prompt": "b"}},
        {"prompt": lambda i: PROMPTS[i % 3], "eta": 0.5, "guidance_scale": 3.0, "negative_prompt": "b"},
        marks=SLOW,
    ),
]


@pytest.mark.parametrize(("kind", "settings", "said"), KINDS)
def test_images_are_those_that_diffusers_gives(
    saved: Saved, compute: Compute, kind: str, settings: dict[str, Any], said: dict[str, Any]
) -> None:
    target = opened(saved(kind), compute, batch=4, **settings)
    assert not isinstance(target, LatentTarget)
    images = target.sample(range(2, 8), seed=5)
    assert (images.float() - own_images(saved(kind), 5, range(2, 8), **said)).abs().max() <= 0.6
    assert images.float().std(0).mean() > 5


@pytest.mark.parametrize("kind", ["ddim", pytest.param("ldm", marks=SLOW)])
def test_without_noise_on_the_way_codes_are_what_diffusers_begins_with(
    saved: Saved, compute: Compute, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = opened(saved(kind), compute)
    assert isinstance(target, LatentTarget)
    assert target.latent_dim == {"ddim": 64, "ldm": 3 * 64}[kind]
    codes = target.draw_latents(range(3), seed=2)
    assert torch.equal(target.generate(codes), target.sample(range(3), seed=2))
    shaped = codes.view(3, -1, 8, 8)
    begun = iter(shaped)
    where = {
        "ddim": "ddim.pipeline_ddim",
        "ldm": "deprecated.latent_diffusion_uncond.pipeline_latent_diffusion_uncond",
    }
    monkeypatch.setattr(f"diffusers.pipelines.{where[kind]}.randn_tensor", lambda *a, **k: next(begun)[None])
    own = own_images(saved(kind), 0, range(3))
    assert (target.generate(codes).float() - own).abs().max() <= 0.6
    with pytest.raises(TargetError, match="codes must be finite and"):
        target.generate(torch.zeros(2, 5))


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("ddpm", {}),
        ("ddpm", {"scheduler": "ddim"}),
        pytest.param("ddpm", {"scheduler": "ddim", "eta": 0.3, "batch": 3}, marks=SLOW),
        pytest.param("ddpm", {"scheduler": "euler_ancestral", "batch": 1}, marks=SLOW),
        pytest.param("ddpm", {"scheduler": "PNDMScheduler", "precision": "bfloat16", "steps": 5}, marks=SLOW),
        pytest.param("of classes", {"scheduler": "heun"}, marks=SLOW),
        pytest.param("ldm", {}, marks=SLOW),
        pytest.param("dit", {"scheduler": "unipc"}, marks=SLOW),
        pytest.param("texts", {"prompts": PROMPTS}, marks=SLOW),
        pytest.param("sd3", {"prompts": PROMPTS, "others": {"max_sequence_length": 16}}, marks=SLOW),
        pytest.param(
            "flux",
            {"prompts": PROMPTS, "others": {"height": 16, "width": 16, "max_sequence_length": 16}},
            marks=SLOW,
        ),
    ],
)
def test_images_are_bit_equal_however_a_request_is_cut(
    saved: Saved, compute: Compute, kind: str, settings: dict[str, Any]
) -> None:
    target = opened(saved(kind), compute, **settings)
    whole = target.sample(range(11), seed=1)
    assert len(whole.flatten(1).unique(dim=0)) == 11
    for cuts in ([0, 1, 11], [0, 5, 6, 11], [0, 8, 11]):
        parts = [target.sample(range(a, b), seed=1) for a, b in itertools.pairwise(cuts)]
        assert torch.equal(torch.cat(parts), whole)
    again = opened(saved(kind), compute, **settings)
    assert again.identity == target.identity
    assert torch.equal(again.sample(range(4, 6), seed=1), whole[4:6])
    assert not torch.equal(target.sample(range(11), seed=2), whole)
    noisy = "eta" in settings or (kind, settings.get("scheduler")) in NOISY
    assert isinstance(target, LatentTarget) == (kind in ("ddpm", "ldm") and not noisy)


CHANGES: list[dict[str, Any]] = [
    {"steps": 4},
    {"scheduler": "ddpm"},
    {"eta": 0.5},
    {"eta": 0.0},
    {"precision": "bfloat16"},
    {"batch": 4},
]


@pytest.mark.slow
def test_each_setting_and_each_weight_is_part_of_the_identity(
    saved: Saved, compute: Compute, tmp_path: Path
) -> None:
    found = [opened(saved("ddim"), compute, **change).identity for change in [{}, *CHANGES]]
    other = pipelines.unconditional(tmp_path / "other", "DDIMPipeline", unet=pipelines.unet(seed=9))
    found.append(opened(other, compute).identity)
    found += [opened(saved("texts"), compute, prompts=said).identity for said in (["a"], ["a", "b"])]
    assert len(set(found)) == len(found)
    moved = shutil.copytree(saved("ddim"), tmp_path / "moved")
    assert opened(moved, compute).identity == found[0]


def test_a_fingerprint_follows_files_and_prompts(saved: Saved, tmp_path: Path) -> None:
    path, prompts = shutil.copytree(saved("texts"), tmp_path / "p"), tmp_path / "prompts.txt"
    prompts.write_text("a\nb\n")
    settings = parse_target({"diffusers": str(path), "prompts": str(prompts)})
    found = [fingerprint(settings)]
    prompts.write_text("a\nc\n")
    found.append(fingerprint(settings))
    config = path / "scheduler" / "scheduler_config.json"
    config.write_text(config.read_text().replace("50", "60"))
    found.append(fingerprint(settings))
    (path / "tokenizer" / "words").mkdir()
    (path / "tokenizer" / "words" / "more.txt").write_text("a")  # wherever a part keeps it
    found.append(fingerprint(settings))
    (path / "README.md").write_text("words")
    assert len({*found}) == 4
    assert fingerprint(settings) == found[-1]


@pytest.mark.slow
def test_nothing_is_printed_and_nothing_is_left(
    saved: Saved, compute: Compute, capfd: pytest.CaptureFixture[str]
) -> None:
    loggers = [logging.getLogger(name) for name in ("diffusers", "transformers")]
    with heard():  # the first import of the libraries sets their loggers up
        pass
    before = [(list(one.handlers), one.level, one.propagate, list(warnings.filters)) for one in loggers]
    random = torch.get_rng_state()
    target = opened(saved("texts"), compute, prompts=PROMPTS)
    target.sample(range(2), seed=0)
    assert capfd.readouterr() == ("", "")
    assert [
        (list(one.handlers), one.level, one.propagate, list(warnings.filters)) for one in loggers
    ] == before
    assert torch.equal(torch.get_rng_state(), random)
    assert torch.is_grad_enabled()


@pytest.mark.slow
def test_a_safety_checker_is_run_and_said(saved: Saved, compute: Compute) -> None:
    target = opened(saved("checked"), compute, prompts=["a"])
    assert target.image_shape == (3, 16, 16)
    assert "safety checker makes images black" in notes_of(target)[1]


def test_too_little_memory_is_said_in_one_line(
    saved: Saved, compute: Compute, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB.\nSee documentation")

    monkeypatch.setattr("ganguard.targets.diffusion.samplers.Denoising.__call__", full)
    with pytest.raises(TargetError, match="too little memory for 8 images at once") as raised:
        opened(saved("ddpm"), compute)
    assert "\n" not in str(raised.value)


@pytest.mark.slow
def test_images_need_not_be_square_and_networks_may_give_variances(tmp_path: Path, compute: Compute) -> None:
    learned = pipelines.scheduler(variance_type="learned_range")
    network = pipelines.unet(side=(8, 12), out=2)
    path = pipelines.unconditional(tmp_path / "p", unet=network, scheduler=learned)
    noisy = opened(path, compute)
    assert noisy.image_shape == (1, 8, 12)
    own = own_images(path, 1, range(3))
    assert (noisy.sample(range(3), seed=1).float() - own).abs().max() <= 0.6
    for name in ("ddim", "dpmsolver"):
        target = opened(path, compute, scheduler=name)
        assert isinstance(target, LatentTarget)
        assert target.latent_dim == 96


@pytest.mark.slow
def test_a_variant_of_the_weights_is_read(saved: Saved, tmp_path: Path, compute: Compute) -> None:
    with heard():
        made = pipelines.library().DDPMPipeline.from_pretrained(str(saved("ddpm")))
        made.save_pretrained(tmp_path, variant="fp16")
    target = opened(tmp_path, compute, variant="fp16")
    assert torch.equal(
        target.sample(range(3), seed=0), opened(saved("ddpm"), compute).sample(range(3), seed=0)
    )
    with pytest.raises(TargetError, match="diffusers cannot open it"):
        opened(tmp_path, compute)


@pytest.mark.slow
def test_how_images_are_made_is_said(saved: Saved, compute: Compute) -> None:
    assert notes_of(opened(saved("texts"), compute, prompts=PROMPTS))[0] == (
        "The pipeline: StableDiffusionPipeline with DDIMScheduler, 2 steps, 8 images at once; image i shows "
        "prompt i mod 3 unless another is asked for; it takes no codes."
    )
    assert "codes may be sent" in notes_of(opened(saved("ddpm"), compute, scheduler="ddim"))[0]


def test_a_pipelines_own_steps_are_no_more_than_it_was_trained_with(tmp_path: Path, compute: Compute) -> None:
    path = pipelines.unconditional(tmp_path, scheduler=pipelines.scheduler(num_train_timesteps=3))
    target = load_target(parse_target({"diffusers": str(path), "batch": 2}), compute)
    assert "3 steps" in notes_of(target)[0]


@pytest.mark.slow
def test_the_users_scheduler_is_not_worn_by_use(saved: Saved, compute: Compute) -> None:
    """Multistep schedulers keep what came before, and count; PNDM's first images would differ from later
    ones."""
    target = opened(saved("texts"), compute, prompts=["a"], scheduler="pndm", batch=2, steps=5)
    first = target.sample(range(2), seed=0)
    target.sample(range(5), seed=3)
    assert torch.equal(target.sample(range(2), seed=0), first)


def test_codes_are_taken_only_if_nothing_else_decides(saved: Saved, compute: Compute) -> None:
    target = opened(saved("ddim"), compute)
    assert isinstance(target, LatentPipelineTarget)
    codes = target.draw_latents(range(2), seed=0)
    assert torch.equal(target.generate(codes.flip(0)).flip(0), target.generate(codes))
    assert target.generate(codes).dtype == to_uint8(torch.zeros(1)).dtype


@pytest.mark.slow
def test_a_pipeline_that_learnt_digits_gives_digits(tmp_path: Path, compute: Compute) -> None:
    from sklearn.datasets import load_digits

    from ganguard.metrics import frechet_distance

    real = torch.from_numpy(cast(Any, load_digits()).images).float()[:, None] / 8 - 1
    network = pipelines.unet()
    distances = []
    for steps in (0, 150):
        pipelines.learn(network, real, steps)
        path = pipelines.unconditional(tmp_path / str(steps), unet=network)
        target = opened(path, compute, scheduler="ddim", steps=10, batch=64)
        images = target.sample(range(256), seed=0).float() / 127.5 - 1
        distances.append(frechet_distance(images.flatten(1).numpy(), real.flatten(1).numpy()))
    assert distances[1] < distances[0] / 4
