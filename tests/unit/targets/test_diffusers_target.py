"""Pipelines of diffusers as targets: the pipeline's own images, each a function of seed and index, and what
is refused."""

import itertools
import json
import logging
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pipelines
import pytest
import torch
from safetensors.torch import load_file, save_file

from ganguard.base.compute import Compute
from ganguard.base.errors import SpecError, TargetError
from ganguard.base.images import to_uint8
from ganguard.base.seeds import torch_generator
from ganguard.cli.options import target_of
from ganguard.targets.diffusion import files
from ganguard.targets.diffusion.quiet import heard
from ganguard.targets.diffusion.target import LatentPipelineTarget
from ganguard.targets.load import fingerprint, load_target, parse_target
from ganguard.targets.protocol import BlackBoxTarget, LatentTarget, notes_of

WEIGHTS = "unet/diffusion_pytorch_model.safetensors"
NOISY = [("ddpm", None), ("ddpm", "euler_ancestral")]
PROMPTS = ["a cat", "a dog", "z"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A pipeline of each kind, saved once."""
    folder, made = tmp_path_factory.mktemp("pipelines"), dict[str, Path]()
    writers: dict[str, Callable[[Path], Path]] = {
        "ddpm": pipelines.unconditional,
        "ddim": lambda path: pipelines.unconditional(path, "DDIMPipeline"),
        "of classes": lambda path: pipelines.unconditional(path, unet=pipelines.unet(classes=4)),
        "ldm": pipelines.latent,
        "dit": pipelines.classes,
        "texts": pipelines.texts,
        "flux": lambda path: pipelines.flow(path, "FluxPipeline"),
        "sd3": lambda path: pipelines.flow(path, "StableDiffusion3Pipeline"),
        "checked": lambda path: pipelines.texts(path, checked=True),
    }

    def path_of(kind: str) -> Path:
        if kind not in made:
            made[kind] = writers[kind](folder / kind)
        return made[kind]

    return path_of


Saved = Callable[[str], Path]


def opened(path: Path, compute: Compute, **settings: Any) -> BlackBoxTarget:
    return load_target(parse_target({"diffusers": str(path), "steps": 2, **settings}), compute)


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
    (path / "README.md").write_text("words")
    assert len({*found}) == 3
    assert fingerprint(settings) == found[-1]


REFUSED: list[Any] = [
    ("ddpm", {"eta": 0.0}, "eta has nothing to act on: DDPMScheduler takes none"),
    pytest.param("dit", {"eta": 0.0}, "eta has nothing to act on: DiTPipeline takes none", marks=SLOW),
    ("ddpm", {"scheduler": "nope"}, "unknown scheduler 'nope'"),
    ("ddpm", {"scheduler": "FlowMatchEulerDiscrete"}, "does not fit this pipeline, whose own is DDPM"),
    pytest.param("dit", {"scheduler": "ddpm"}, "draws noise that no generator seeds", marks=SLOW),
    ("ddpm", {"steps": 100}, "cannot be larger than"),
    ("ddpm", {"prompts": ["a"]}, "prompts has nothing to act on"),
    ("ddpm", {"labels": [0]}, "labels has nothing to act on"),
    pytest.param("dit", {"labels": [1000]}, "labels must be 0 to 999; got 1000", marks=SLOW),
    pytest.param("texts", {}, "set `prompts` to a list", marks=SLOW),
    pytest.param(
        "texts", {"prompts": ["a"], "others": {"prompt": "b"}}, "prompt has a place of its own", marks=SLOW
    ),
    pytest.param("texts", {"prompts": ["a"], "others": {"heigth": 8}}, "takes no heigth", marks=SLOW),
    ("ddpm", {"others": {"height": 8}}, "height has nothing to act on"),
    ("ddpm", {"variant": "fp16"}, "fp16"),
]


@pytest.mark.parametrize(("kind", "settings", "said"), REFUSED)
def test_what_does_not_fit_is_refused_in_one_line(
    saved: Saved, compute: Compute, kind: str, settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(TargetError, match=said) as raised:
        opened(saved(kind), compute, **settings)
    assert "\n" not in str(raised.value)
    assert str(raised.value).startswith(str(saved(kind)))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"diffusers": "no-such-directory"}, "owner/name on Hugging Face's hub; there is no directory"),
        ({"diffusers": "a/b/c"}, "owner/name"),
        ({"diffusers": "a/b", "batch": 0}, "batch"),
        ({"diffusers": "a/b", "eta": 2}, "eta"),
        ({"diffusers": "a/b", "precision": "int8"}, "precision"),
        ({"diffusers": "a/b", "prompts": "absent.txt"}, "there is no file"),
        ({"diffusers": ".", "revision": "main"}, "revision has nothing to act on"),
    ],
)
def test_wrong_settings_are_said_when_a_spec_is_read(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        parse_target(settings)


def test_the_command_line_knows_it() -> None:
    assert target_of("diffusers:owner/name", None, False) == parse_target({"diffusers": "owner/name"})


def _pickled(path: Path) -> None:
    torch.save(load_file(path / WEIGHTS), (path / WEIGHTS).with_suffix(".bin"))
    (path / WEIGHTS).unlink()


def _lacking(path: Path) -> None:
    tensors = load_file(path / WEIGHTS)
    del tensors["conv_in.weight"]
    save_file(tensors, path / WEIGHTS)


def _index(**changes: object) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        file = path / files.INDEX
        file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))

    return write


def _with_code(path: Path) -> None:
    _index(unet=["my_unet", "UNet"])(path)
    (path / "unet" / "my_unet.py").write_text("raise SystemExit('this code was run')")


DAMAGES: list[tuple[Callable[[Path], object], str]] = [
    (_pickled, "unet/diffusion_pytorch_model.bin: pickled weights are not read"),
    (_lacking, "its weights lack tensors"),
    (lambda path: (path / WEIGHTS).write_bytes(b"1234567890"), "diffusers cannot open it"),
    (lambda path: (path / WEIGHTS).unlink(), "diffusers cannot open it: Error no file named"),
    (lambda path: (path / files.INDEX).unlink(), r"it holds no model_index\.json"),
    (lambda path: (path / files.INDEX).write_text("[1]"), "must hold a mapping"),
    (lambda path: (path / files.INDEX).write_text("{"), "no pipeline that save_pretrained"),
    (_index(_class_name=["pipeline", "Mine"]), "a pipeline with code of its own is not run"),
    (_index(_class_name="Mine"), "none of the pipelines of diffusers"),
    (_index(_class_name="UNet2DModel"), "none of the pipelines of diffusers"),
    (_index(unet=["os", "system"]), "os.system, which is code of its own"),
    (_index(unet=["diffusers", "NoSuch"]), "has no class `NoSuch`"),
    (_with_code, "code of its own, and is not run"),
]


@pytest.mark.parametrize(("damage", "said"), DAMAGES)
def test_pickles_code_and_damages_are_refused_in_one_line(
    saved: Saved, compute: Compute, tmp_path: Path, damage: Callable[[Path], object], said: str
) -> None:
    path = shutil.copytree(saved("ddpm"), tmp_path / "pipeline")
    damage(path)
    with pytest.raises(TargetError, match=said) as raised:
        opened(path, compute)
    assert "\n" not in str(raised.value)


def test_a_file_is_no_pipeline(tmp_path: Path, compute: Compute) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"1")
    with pytest.raises(TargetError, match=r"this is a file\. Load it with diffusers"):
        opened(tmp_path / "model.safetensors", compute)


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
        "prompt i mod 3; it takes no codes."
    )
    assert "codes may be sent" in notes_of(opened(saved("ddpm"), compute, scheduler="ddim"))[0]


def test_a_pipelines_own_steps_are_no_more_than_it_was_trained_with(tmp_path: Path, compute: Compute) -> None:
    path = pipelines.unconditional(tmp_path, scheduler=pipelines.scheduler(num_train_timesteps=3))
    target = load_target(parse_target({"diffusers": str(path), "batch": 2}), compute)
    assert "3 steps" in notes_of(target)[0]


def test_a_name_on_the_hub_is_read_from_the_cache_of_its_client(
    saved: Saved, compute: Compute, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    kept = tmp_path / "models--owner--name"
    commit = "0123456789" * 4
    shutil.copytree(saved("ddim"), kept / "snapshots" / commit)
    (kept / "refs").mkdir()
    (kept / "refs" / "v1").write_text(commit)
    target = load_target(parse_target({"diffusers": "owner/name", "revision": "v1", "steps": 2}), compute)
    assert target.identity == opened(saved("ddim"), compute).identity
    (kept / "snapshots" / commit / WEIGHTS).unlink()
    for name, said in (
        ("name", "diffusers cannot open it"),
        ("absent", "no such directory, and revision 'v1'"),
    ):
        with pytest.raises(TargetError, match=f"owner/{name}: {said}") as raised:
            load_target(parse_target({"diffusers": f"owner/{name}", "revision": "v1"}), compute)
        assert "\n" not in str(raised.value)


def test_only_files_of_a_safe_kind_are_asked_of_the_hub(
    tmp_path: Path, compute: Compute, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))

    def download(name: str, **wanted: Any) -> str:
        asked.append({"name": name, **wanted})
        return str(tmp_path)

    monkeypatch.setattr("diffusers.DiffusionPipeline.download", download)
    with pytest.raises(TargetError, match=r"it holds no model_index\.json"):
        fingerprint(parse_target({"diffusers": "owner/name", "variant": "fp16"}))
    wanted = {"revision": "main", "variant": "fp16", "use_safetensors": True, "trust_remote_code": False}
    assert asked == [{"name": "owner/name", **wanted}]


def test_without_the_extra_it_says_what_to_install(
    saved: Saved, compute: Compute, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "diffusers.utils", None)
    with pytest.raises(TargetError, match=r"pip install 'ganguard\[diffusers\]'"):
        opened(saved("ddpm"), compute)


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
