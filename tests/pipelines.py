"""Tiny pipelines of diffusers, saved as their users save them: one that learnt digits, and some with random
weights."""

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganguard.base.compute import Compute
from ganguard.targets.diffusion.quiet import heard
from ganguard.targets.load import load_target, parse_target
from ganguard.targets.protocol import BlackBoxTarget

WEIGHTS = "unet/diffusion_pytorch_model.safetensors"
Saved = Callable[[str], Path]


def opened(path: Path, compute: Compute, **settings: Any) -> BlackBoxTarget:
    return load_target(parse_target({"diffusers": str(path), "steps": 2, **settings}), compute)


def library() -> Any:
    """diffusers, most of whose names are made at run time."""
    return importlib.import_module("diffusers")


def unet(
    *,
    channels: int = 1,
    side: int | tuple[int, int] = 8,
    classes: int | None = None,
    out: int = 1,
    seed: int = 0,
) -> Any:
    """A U-Net for images of `side` pixels, with random weights. out: outputs for each channel."""
    diffusers = library()

    torch.manual_seed(seed)
    network = diffusers.UNet2DModel(
        sample_size=side,
        in_channels=channels,
        out_channels=channels * out,
        layers_per_block=1,
        block_out_channels=(8, 16),
        down_block_types=("DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D"),
        norm_num_groups=4,
        num_class_embeds=classes,
    )
    return network.eval()


def scheduler(kind: str = "DDPMScheduler", **settings: Any) -> Any:
    """A scheduler of 50 steps, whose last leaves hardly anything of an image."""
    diffusers = library()

    return getattr(diffusers, kind)(
        **{"num_train_timesteps": 50, "beta_start": 1e-3, "beta_end": 0.2, **settings}
    )


def autoencoder(**settings: float) -> Any:
    """An autoencoder from images of 16x16 pixels in colour to 4 channels of 8x8."""
    diffusers = library()

    torch.manual_seed(1)
    return diffusers.AutoencoderKL(
        latent_channels=4,
        block_out_channels=(8, 8),
        down_block_types=("DownEncoderBlock2D", "DownEncoderBlock2D"),
        up_block_types=("UpDecoderBlock2D", "UpDecoderBlock2D"),
        norm_num_groups=4,
        sample_size=16,
        **settings,
    )


def unconditional(folder: Path, kind: str = "DDPMPipeline", **parts: Any) -> Path:
    """Save a pipeline for grey images of 8x8 pixels."""
    diffusers = library()

    with heard(), torch.random.fork_rng(devices=[]):
        made = {"unet": unet(), "scheduler": scheduler(), **parts}
        getattr(diffusers, kind)(**made).save_pretrained(folder)
    return folder


def latent(folder: Path) -> Path:
    """Save an LDM for images of 16x16 pixels in colour."""
    diffusers = library()

    with heard(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        decoder = diffusers.VQModel(
            block_out_channels=(8, 8),
            down_block_types=("DownEncoderBlock2D", "DownEncoderBlock2D"),
            up_block_types=("UpDecoderBlock2D", "UpDecoderBlock2D"),
            latent_channels=3,
            num_vq_embeddings=16,
            norm_num_groups=4,
        )
        made = diffusers.LDMPipeline(
            vqvae=decoder, unet=unet(channels=3), scheduler=scheduler("DDIMScheduler")
        )
        made.save_pretrained(folder)
    return folder


def classes(folder: Path, count: int = 1000) -> Path:
    """Save a DiT of some classes for images of 16x16 pixels in colour."""
    diffusers = library()

    with heard(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        network = diffusers.DiTTransformer2DModel(
            sample_size=8,
            num_layers=1,
            patch_size=2,
            attention_head_dim=4,
            num_attention_heads=2,
            in_channels=4,
            out_channels=8,
            num_embeds_ada_norm=count,
            norm_type="ada_norm_zero",
        )
        for parameter in network.parameters():  # a new one gives nothing but its input
            torch.nn.init.normal_(parameter, std=0.2)
        made = diffusers.DiTPipeline(network, autoencoder(), scheduler("DDIMScheduler"))
        made.save_pretrained(folder)
    return folder


def texts(folder: Path, *, checked: bool = False) -> Path:
    """Save a Stable Diffusion of random weights for images of 16x16 pixels in colour.

    checked: with a safety checker.
    """
    diffusers = library()
    with heard(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        network = diffusers.UNet2DConditionModel(
            sample_size=8,
            layers_per_block=1,
            block_out_channels=(8, 16),
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            norm_num_groups=4,
            cross_attention_dim=16,
            attention_head_dim=4,
        )
        checker, extractor = _checker() if checked else (None, None)
        made = diffusers.StableDiffusionPipeline(
            vae=autoencoder(),
            text_encoder=_clip("CLIPTextModel"),
            tokenizer=_words(folder),
            unet=network,
            scheduler=scheduler("DDIMScheduler", clip_sample=False),
            safety_checker=checker,
            feature_extractor=extractor,
            requires_safety_checker=checked,
        )
        made.save_pretrained(folder)
    return folder


def flow(folder: Path, kind: str) -> Path:
    """Save a Stable Diffusion 3 without its third encoder, or a Flux, for images of 16x16 pixels."""
    diffusers = library()
    with heard(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        words, parts = _words(folder), dict[str, Any]()
        if kind == "StableDiffusion3Pipeline":
            parts["transformer"] = diffusers.SD3Transformer2DModel(
                sample_size=8,
                patch_size=1,
                in_channels=4,
                out_channels=4,
                num_layers=1,
                attention_head_dim=8,
                num_attention_heads=4,
                joint_attention_dim=32,
                caption_projection_dim=32,
                pooled_projection_dim=32,
            )
            parts |= {"text_encoder": _clip(_PROJECTED), "text_encoder_2": _clip(_PROJECTED)}
            parts |= {"tokenizer_2": words, "text_encoder_3": None, "tokenizer_3": None}
        else:
            parts["transformer"] = diffusers.FluxTransformer2DModel(
                patch_size=1,
                in_channels=16,
                num_layers=1,
                num_single_layers=1,
                attention_head_dim=16,
                num_attention_heads=2,
                joint_attention_dim=16,
                pooled_projection_dim=16,
                axes_dims_rope=[4, 4, 8],
            )
            parts["text_encoder"] = _clip("CLIPTextModel")
            parts["tokenizer_2"], parts["text_encoder_2"] = _t5()
        noise = diffusers.FlowMatchEulerDiscreteScheduler()
        shifted = autoencoder(shift_factor=0.1, scaling_factor=1.0)
        made = getattr(diffusers, kind)(scheduler=noise, vae=shifted, tokenizer=words, **parts)
        made.save_pretrained(folder)
    return folder


_PROJECTED = "CLIPTextModelWithProjection"


def _clip(kind: str) -> Any:
    import transformers

    config = transformers.CLIPTextConfig(
        vocab_size=len(_vocabulary()),
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=16,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
        projection_dim=16,
    )
    return getattr(transformers, kind)(config)


def _words(folder: Path) -> Any:
    """A tokenizer of letters."""
    from transformers import CLIPTokenizer

    words = folder.parent / "words"
    words.mkdir(exist_ok=True, parents=True)
    (words / "vocab.json").write_text(json.dumps(_vocabulary()))
    (words / "merges.txt").write_text("#version: 0.2\n")
    return CLIPTokenizer(str(words / "vocab.json"), str(words / "merges.txt"), model_max_length=16)


def _t5() -> tuple[Any, Any]:
    import transformers

    words = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *((one, -1.0) for one in "▁abcdefghijklmnop")]
    of_t5 = getattr(transformers, "T5TokenizerFast")  # noqa: B009 - made at run time
    config = transformers.T5Config(vocab_size=32, d_model=16, d_ff=16, d_kv=8, num_layers=1, num_heads=2)
    return of_t5(vocab=words, extra_ids=0), transformers.T5EncoderModel(config)


def _checker() -> tuple[Any, Any]:
    """A safety checker with random weights, and what prepares images for it."""
    import transformers

    checks: Any = importlib.import_module("diffusers.pipelines.stable_diffusion.safety_checker")
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    seen = {**sizes, "image_size": 32, "patch_size": 16, "projection_dim": 8}
    config = transformers.CLIPConfig(vision_config=seen, text_config=sizes, projection_dim=8)
    side = {"height": 32, "width": 32}
    of_clip: Any = transformers.CLIPImageProcessor
    return checks.StableDiffusionSafetyChecker(config), of_clip(size={"shortest_edge": 32}, crop_size=side)


def _vocabulary() -> dict[str, int]:
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{letter}</w>" for letter in letters)]
    return {word: place for place, word in enumerate(words)}


def learn(network: Any, images: Tensor, steps: int) -> None:
    """Train a U-Net to tell the noise in images (N, C, H, W) in [-1, 1] (Ho et al. 2020, algorithm 1)."""
    noising = scheduler()
    generator = torch.Generator().manual_seed(0)
    optimiser = torch.optim.Adam(network.parameters(), lr=4e-3)
    network.train()
    for _ in range(steps):
        x = images[torch.randint(len(images), (64,), generator=generator)]
        noise = torch.randn(x.shape, generator=generator)
        t = torch.randint(noising.config.num_train_timesteps, (len(x),), generator=generator)
        loss = (network(noising.add_noise(x, noise, t), t).sample - noise).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    network.eval()
