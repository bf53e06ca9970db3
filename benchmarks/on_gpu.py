"""What a GPU brings, and whether every loop runs on one: SNGAN-32 and the flow at published widths.

    python benchmarks/on_gpu.py --out OUT [--cifar PATH] [--smoke]

`benchmarks/on_gpu.sh` runs it within eight minutes. Each line of work writes a file of its own into OUT, so a
run that was killed goes on with the next one. Without PATH (a folder or an archive of CIFAR-10's binary
batches), images of noise in its form are trained on; their speed is the same.

It prints how many real images a training sees a second in float32, in bfloat16, and compiled, with the ratios
to float32, and the same on this machine's processors; the most memory that torch held; and for each loop
whether it ran, resumed, and gave finite losses. `--smoke` does all that with tiny networks on the CPU, and
proves only that this script runs.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ganguard.data.cifar import Cifar
from ganguard.data.dataset import load_dataset
from gpu.loops import print_checks
from gpu.speeds import print_speeds
from gpu.work import Run


def images_of(path: str | None) -> Tensor:
    """Return the images to train on, (N, 3, 32, 32) uint8: CIFAR-10's, or noise."""
    if path is not None:
        return load_dataset(Cifar(path=path)).images
    noise = np.random.default_rng(0).integers(0, 256, (2048, 3, 32, 32), dtype=np.uint8)
    return torch.from_numpy(noise)


def main() -> int:
    """Do all of it. Return 1 if a loop failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cifar")
    parser.add_argument("--smoke", action="store_true")
    given = parser.parse_args()
    if not given.smoke and not torch.cuda.is_available():
        parser.error("no GPU is here. --smoke runs tiny networks on the CPU")
    device = "cpu" if given.smoke else "cuda"
    given.out.mkdir(parents=True, exist_ok=True)
    run = Run(given.out, images_of(given.cifar), device, given.smoke)
    where = torch.cuda.get_device_name() if device == "cuda" else "CPU, smoke: no figure here means anything"
    print(f"torch {torch.__version__}, {where}, {'CIFAR-10' if given.cifar else 'noise'}")
    print_speeds(run)
    return 1 if print_checks(run) else 0


if __name__ == "__main__":
    raise SystemExit(main())
