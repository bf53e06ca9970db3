"""StyleGAN2-ADA and StyleGAN3 (Karras et al. 2020, 2021) as targets, by NVIDIA's own code.

They are published as pickles, which run code when they are opened: convert only a file that you trust. With a
clone of NVlabs/stylegan3 or NVlabs/stylegan2-ada-pytorch, once:

    python examples/stylegan.py stylegan3 stylegan3-t-ffhqu-256x256.pkl stylegan.pt

NVIDIA's code needs a setuptools before 81. What that writes holds weights and settings, and no code. Then, in
the folder of this file:

    STYLEGAN_CODE=~/stylegan3 STYLEGAN_WEIGHTS=~/stylegan.pt ganguard audit stylegan.yaml
"""

import importlib
import os
import pickle
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

SECOND = ("training.networks_stylegan2", "training.networks")
"""Modules with StyleGAN2's Generator, in NVlabs/stylegan3 and in NVlabs/stylegan2-ada-pytorch."""
THIRD = ("training.networks_stylegan3",)


class Fixed(nn.Module):
    """G with the noise that was drawn when it was built, without truncation, in float32 throughout.

    Args:
        generator: NVIDIA's G.
        label: the class whose images it makes, if it is conditional.
    """

    def __init__(self, generator: Any, label: int = 0) -> None:
        super().__init__()
        self.generator, self.latent_dim, self._label = generator, int(generator.z_dim), label

    def forward(self, z: Tensor) -> Tensor:
        classes = z.new_zeros(len(z), self.generator.c_dim)
        if self.generator.c_dim:
            classes[:, self._label] = 1
        images: Tensor = self.generator(z, classes, noise_mode="const", force_fp32=True)
        return images.clamp(-1, 1)  # NVIDIA's scripts clamp as well


def convert(code: Path, published: Path, out: Path) -> None:
    """Write the weights and settings of a published pickle's averaged G, which its code unpickles."""
    with_code(code)
    with published.open("rb") as file:
        G: Any = pickle.load(file)["G_ema"]
    third = any(name.startswith("synthesis.input.") for name in G.state_dict())
    said = {"third": third, "args": list(G.init_args), "kwargs": plain(G.init_kwargs)}
    torch.save({"weights": G.state_dict(), "settings": said}, out)


def make() -> nn.Module:
    """Return G, from the environment variables STYLEGAN_CODE, STYLEGAN_WEIGHTS and STYLEGAN_LABEL."""
    with_code(Path(os.environ.get("STYLEGAN_CODE", "stylegan3")).expanduser())
    file = Path(os.environ.get("STYLEGAN_WEIGHTS", "stylegan.pt")).expanduser()
    found = torch.load(file, map_location="cpu", weights_only=True)
    settings = found["settings"]
    G = network(settings["third"])(*settings["args"], **settings["kwargs"])
    G.load_state_dict(found["weights"])
    return Fixed(G, int(os.environ.get("STYLEGAN_LABEL", "0")))


def with_code(folder: Path) -> None:
    """Let NVIDIA's modules be imported. Raises FileNotFoundError if they are not there."""
    if not (folder / "torch_utils").is_dir():
        raise FileNotFoundError(f"{folder} is no clone of NVlabs/stylegan3 or NVlabs/stylegan2-ada-pytorch")
    sys.path.insert(0, str(folder))


def network(third: bool) -> Any:
    """Return NVIDIA's class of StyleGAN3's generators, or of StyleGAN2's."""
    for name in THIRD if third else SECOND:
        try:
            return importlib.import_module(name).Generator
        except ModuleNotFoundError as problem:
            if problem.name != name:
                raise
    raise ModuleNotFoundError("this clone has no such generator; StyleGAN3's needs NVlabs/stylegan3")


def plain(value: Any) -> Any:
    """Return settings as plain dictionaries and lists: a file of weights holds no classes."""
    if isinstance(value, dict):
        return {str(key): plain(part) for key, part in value.items()}
    return [plain(part) for part in value] if isinstance(value, list | tuple) else value


if __name__ == "__main__":
    convert(*(Path(text) for text in sys.argv[1:4]))
