"""G of a checkpoint to a TorchScript file, as a generator of another house might come.

    python examples/export_torchscript.py runs/mine/checkpoint g.ts
    ganguard harvest torchscript:g.ts --latent-dim 128 --trusted --out runs/bought --count 1000

A TorchScript file is a program: `--trusted` says that you know where it comes from.
"""

import sys
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from ganguard.architectures.checkpoint import load_checkpoint
from ganguard.architectures.networks import made_by

CODES = 64  # a target sends that many at once, always


class Clamped(nn.Module):
    """Not every G ends in a tanh: PGGAN's and StyleGAN2's images leave [-1, 1], which a target of another
    house may not."""

    def __init__(self, generator: nn.Module) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return made_by(self.generator, z, y).clamp(-1, 1)


def export(checkpoint: Path, file: Path) -> int:
    """Write G of a checkpoint to `file` and return its latent_dim. One with classes takes them beside the
    codes."""
    G = load_checkpoint(checkpoint).networks.generator
    y = (torch.zeros(CODES, dtype=torch.int64),) if G.classes else ()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # pyright: ignore - the number of codes is fixed
        torch.jit.save(torch.jit.trace(Clamped(G), (torch.zeros(CODES, G.latent_dim), *y)), file)
    return G.latent_dim


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python export_torchscript.py CHECKPOINT FILE")
    latent_dim = export(Path(sys.argv[1]), Path(sys.argv[2]))
    sys.stdout.write(f"{sys.argv[2]}: give it with --latent-dim {latent_dim} --trusted\n")
