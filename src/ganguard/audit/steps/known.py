"""Choose the real images X_r that an adversary holds, and make its judge of those that it holds out.

The judge compares by the audit's feature network, which is generous: an adversary's own would be trained on
less.
"""

from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from ganguard.attacks.protocol import Knowledge
from ganguard.audit.steps.call import Digests, StepCall
from ganguard.audit.steps.measurements import write_measurements
from ganguard.audit.steps.real import load_real
from ganguard.audit.steps.yardsticks import read_balls
from ganguard.base.cache import content_key, tensor_digest, write_tensors
from ganguard.base.compute import Compute
from ganguard.comparison.compare import NEIGHBOURS, compare
from ganguard.comparison.embedding import load_embedding, network_of
from ganguard.data.dataset import RealImages
from ganguard.data.splits import adversary_split, split
from ganguard.metrics import Balls, kernel_distance_full
from ganguard.metrics.features.network import FeatureNetwork, Standardisation, extract
from ganguard.results.records import Measurement
from ganguard.training.early_stopping import Judge


def run_known(call: StepCall) -> Digests:
    """Choose X_r of a seed, and measure it against the reference split: what "just keep X_r" gives."""
    real, fraction, seed = (
        load_real(call.inputs["real"]),
        float(call.settings["real_fraction"]),
        int(call.settings["seed"]),
    )
    own, judged = adversary_split(real.train, fraction, seed=seed, groups=real.groups)
    images = {"own": real.images[own], "judged": real.images[judged]}
    write_tensors(call.directory / KNOWN, images)
    measurements: list[Measurement] = []
    everything = torch.cat([images["own"], images["judged"]])
    if len(everything) > NEIGHBOURS:
        balls = Balls.around(load_embedding(call.inputs["features"], call.compute)(everything), k=NEIGHBOURS)
        found = compare("known", balls, read_balls(call.inputs["yardsticks"], "reference"), "reference")
        measurements = [m.model_copy(update={"seed": seed, "attack": share(fraction)}) for m in found]
    dumped = write_measurements(call.directory, measurements)
    return {"result": content_key(images=tensor_digest(images), measurements=dumped)}


def share(fraction: float) -> str:
    """How results and reports call X_r of that share of the training images."""
    return f"{100 * fraction:g} % of the real training images"


def knowledge(known: Path, features: Path, compute: Compute) -> Knowledge:
    """What the adversary of a known step knows."""
    (own, judged), embed = read_known(known), load_embedding(features, compute)
    return Knowledge(own, judge_by(embed, judged), _judged_by(embed.network, embed.standardise, judged))


def knowledge_of(
    real: RealImages, fraction: float, features: str, compute: Compute, *, seed: int
) -> Knowledge:
    """What an adversary knows who holds `fraction` of the train split of `real`, and judges by a network that
    `features` names as `ganguard measure` does; on the scale of its own images where the network has none.
    Raises InputError."""
    own, judged = (
        real.images[rows]
        for rows in adversary_split(split(real).train, fraction, seed=seed, groups=real.groups)
    )
    _, network, scale = network_of(features, own.shape[1], compute)
    scale = scale or Standardisation.fit(extract(network, torch.cat([own, judged]), compute))
    judge = judge_by(lambda images: scale(extract(network, images, compute)), judged)
    return Knowledge(own, judge, _judged_by(network, scale, judged))


def judge_by(embed: Callable[[Tensor], Tensor], held_out: Tensor) -> Judge:
    """The kernel distance to real images (M, C, H, W) uint8, whose expectation does not depend on how few
    they are."""
    theirs = embed(held_out)
    return lambda images: kernel_distance_full(embed(images), theirs)


def _judged_by(network: FeatureNetwork, scale: Standardisation, held_out: Tensor) -> str:
    return tensor_digest(
        {**network.state_dict(), "scale/mean": scale.mean, "scale/std": scale.std, "held out": held_out}
    )


KNOWN = "known.safetensors"


def read_known(directory: Path) -> tuple[Tensor, Tensor]:
    """What a known step chose: real images (m, C, H, W) uint8 to train with, and those that the adversary's
    judge holds out."""
    tensors = load_file(directory / KNOWN)
    return tensors["own"], tensors["judged"]
