"""The kinds of steps that measure: the yardsticks, and each purchase and each substitute against them."""

from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from ganguard.audit.steps.call import Digests, StepCall
from ganguard.audit.steps.measurements import DRAWS, write_measurements
from ganguard.audit.steps.purchase import auditor_store, open_metered
from ganguard.audit.steps.real import load_real
from ganguard.audit.steps.target import open_target
from ganguard.base.cache import content_key, tensor_digest, write_tensors
from ganguard.base.grids import save_grid
from ganguard.base.seeds import torch_generator
from ganguard.comparison.compare import (
    NEIGHBOURS,
    NIQE_IMAGES,
    by_itself,
    compare,
    compare_pixels,
    frechet_record,
    in_no_order,
    natural_model,
    pixel_bins,
)
from ganguard.comparison.embedding import load_embedding
from ganguard.data.splits import halves
from ganguard.metrics import Balls, NiqeModel
from ganguard.metrics.ndb_jsd import Bins
from ganguard.queries.harvest import harvest
from ganguard.results.records import Measurement

HALVINGS = 8  # of the auditor's draws of the target, which the floor is the mean of
BALLS = "balls.safetensors"
_NATURAL = "niqe.safetensors"
CHUNK = 1024  # images that are made and turned into features at once


def run_yardsticks(call: StepCall) -> Digests:
    """Buy the auditor's draws of the target, take the features of everything copies are compared with, and
    measure the floors (two draws, two halves of the real data, its two splits), the target itself, and
    noise."""
    real, samples = load_real(call.inputs["real"]), int(call.settings["samples"])
    embed, noise_images = load_embedding(call.inputs["features"], call.compute), _noise(real.images)
    target = open_target(call.inputs["target"], call.compute)
    stores = [auditor_store(call.audit, target, draw) for draw in range(DRAWS)]
    natural = natural_model(real.images[real.train])
    if natural is not None:
        natural.save(call.directory / _NATURAL)
    draws = [
        harvest(open_metered(call, store, target, samples), store, samples, call.progress) for store in stores
    ]
    save_grid(draws[0], call.directory)
    everything = embed(real.images)
    held_out = real.images[in_no_order(real.reference)]
    one, other = halves(len(everything), real.labels)
    first, second, reference, noise, train, half, other_half = (
        Balls.around(features, k=NEIGHBOURS)
        for features in (
            *map(embed, draws),
            everything[real.reference],
            _in_chunks(lambda rows: embed(noise_images(rows)), samples),
            everything[real.train],
            everything[one],
            everything[other],
        )
    )
    bins = pixel_bins(draws[0])
    measurements = [
        *compare("target", second, first, "target"),
        *_halvings(torch.cat([first.points, second.points])),
        *(
            m
            for draw, balls in enumerate((first, second))
            for m in compare("target", balls, reference, "reference", draw)
        ),
        *compare("real", half, other_half, "reference"),
        *compare("train", train, reference, "reference"),
        *compare("noise", noise, first, "target"),
        *compare("noise", noise, reference, "reference"),
        *compare_pixels("target", draws[1], bins, "target"),
        *compare_pixels("noise", _in_chunks(noise_images, samples), bins, "target"),
        *by_itself("target", draws[0], embed.probabilities(draws[0]), natural),
        *by_itself("real", held_out, embed.probabilities(held_out), natural),
        *by_itself("noise", noise_images(range(NIQE_IMAGES)), None, natural),
    ]
    balls = {"target/0": first, "target/1": second, "reference": reference}
    tensors = {
        f"{name}/{part}": getattr(b, part)
        for name, b in balls.items()
        for part in ("points", "squared_radii")
    }
    if bins is not None:
        tensors |= {f"bins/{part}": tensor for part, tensor in vars(bins).items()}
    write_tensors(call.directory / BALLS, tensors)
    return {
        "result": content_key(
            balls=tensor_digest(tensors), measurements=write_measurements(call.directory, measurements)
        )
    }


def _halvings(pool: Tensor) -> list[Measurement]:
    """The distance of two draws again and again: random halvings of all that the auditor drew, (2 N, D), as
    draws 1, 2 ...

    One pair of draws says little of what distance to expect; halvings of the same images say much more, and
    buy nothing.
    """
    found: list[Measurement] = []
    half = len(pool) // 2
    for draw in range(1, HALVINGS):
        order = torch.randperm(2 * half, generator=torch_generator(draw, "halving"))
        found.append(frechet_record("target", pool[order[:half]], pool[order[half:]], "target", draw))
    return found


def load_natural(directory: Path) -> NiqeModel | None:
    """Of a yardsticks step: the NIQE model of the real images; None where they allow none."""
    return NiqeModel.load(directory / _NATURAL) if (directory / _NATURAL).is_file() else None


def _in_chunks(make: Callable[[range], Tensor], count: int) -> Tensor:
    """What `make` gives for ranges of the index, together, (count, …)."""
    return torch.cat([make(range(start, min(start + CHUNK, count))) for start in range(0, count, CHUNK)])


def balls_of(tensors: dict[str, Tensor], name: str) -> Balls:
    return Balls(tensors[f"{name}/points"], tensors[f"{name}/squared_radii"], NEIGHBOURS)


def read_balls(directory: Path, name: str) -> Balls:
    """Of a yardsticks step: "reference", "target/0" or "target/1"."""
    return balls_of(load_file(directory / BALLS), name)


def bins_of(tensors: dict[str, Tensor]) -> Bins | None:
    found = {part.partition("/")[2]: tensor for part, tensor in tensors.items() if part.startswith("bins/")}
    return Bins(**found) if found else None


def _noise(like: Tensor) -> Callable[[range], Tensor]:
    """Images of independent uniform bytes, of the shape of `like` (N, C, H, W); a chunk depends on where it
    begins."""
    shape = tuple(like.shape[1:])

    def make(rows: range) -> Tensor:
        generator = torch_generator(0, "noise", str(rows.start))
        return torch.randint(0, 256, (len(rows), *shape), dtype=torch.uint8, generator=generator)

    return make
