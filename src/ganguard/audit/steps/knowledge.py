"""What an adversary that holds real images knows: those to train with, and a judge of those held out."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from ganguard.attacks.protocol import Knowledge
from ganguard.audit.steps.judge import read_judge
from ganguard.audit.steps.known_files import read_known, read_known_labels
from ganguard.base.cache import tensor_digest
from ganguard.base.compute import Compute
from ganguard.comparison.embedding import load_embedding, network_of
from ganguard.data.dataset import RealImages
from ganguard.data.splits import adversary_split, split
from ganguard.metrics import kernel_distance_full
from ganguard.metrics.features.network import FeatureNetwork, Standardisation, extract
from ganguard.training.early_stopping import Judge


def knowledge(known: Path, features: Path | None, compute: Compute) -> Knowledge:
    """Return what an adversary knows that holds the images of a known step.

    Args:
        known: directory of the known step.
        features: directory of the features step, if its judge compares by the audit's network; None if it
            has its own.
        compute: device type and threads.
    """
    own, judged = read_known(known)
    embed = load_embedding(features, compute) if features else read_judge(known, compute)
    scale = {"scale/mean": embed.standardise.mean, "scale/std": embed.standardise.std}
    labels = read_known_labels(known)
    judge, digest = judge_by(embed, judged), _judged_by(embed.network, scale, judged)
    return Knowledge(own, judge, digest, real_labels=labels, judge_against=partial(judge_by, embed))


def knowledge_of(
    real: RealImages, fraction: float, features: str, compute: Compute, *, seed: int
) -> Knowledge:
    """Return what an adversary knows that holds a share of the train split of `real`.

    Args:
        real: the real images that the target was trained on.
        fraction: the share, in (0, 1].
        features: the network that its judge compares by, named as for `ganguard measure`. If it has no scale,
            the adversary's own images give it one.
        compute: device type and threads.
        seed: decides which images it holds.

    Raises InputError if there is no such network.
    """
    rows = adversary_split(split(real).train, fraction, seed=seed, groups=real.groups)
    own, judged = (real.images[of] for of in rows)
    _, network, given = network_of(features, own.shape[1], compute)
    scale = given or Standardisation.fit(
        extract(network, torch.cat([own, judged]), compute), "the adversary's own set"
    )

    def embed(images: Tensor) -> Tensor:
        return scale(extract(network, images, compute))

    judge = judge_by(embed, judged)
    # A scale that was fitted follows from the network and the images, but for its last bits, which threads
    # may change.
    said = {"scale/mean": given.mean, "scale/std": given.std} if given else {"own": own}
    digest, labels = _judged_by(network, said, judged), real.labels_of(rows[0])
    return Knowledge(own, judge, digest, real_labels=labels, judge_against=partial(judge_by, embed))


def judging(features: str, channels: int, compute: Compute) -> Callable[[Tensor, Tensor], tuple[Judge, str]]:
    """Return the maker of a judge for an adversary that has nothing but its purchase.

    It judges by the images of the purchase that it holds out. All bought images give the network a scale, if
    it has none.

    Args:
        features: the network to compare by, named as for `ganguard measure`.
        channels: of the images.
        compute: device type and threads.

    Raises InputError if there is no such network.
    """
    _, network, given = network_of(features, channels, compute)

    def make(bought: Tensor, held_out: Tensor) -> tuple[Judge, str]:
        scale = given or Standardisation.fit(extract(network, bought, compute), "the purchase")
        judge = judge_by(lambda images: scale(extract(network, images, compute)), bought[held_out])
        said = {"scale/mean": given.mean, "scale/std": given.std} if given else {"bought": bought}
        return judge, _judged_by(network, said, bought[held_out])

    return make


def judge_by(embed: Callable[[Tensor], Tensor], held_out: Tensor) -> Judge:
    """Return a judge that measures the kernel distance to real images (M, C, H, W) uint8.

    The expectation of this distance does not depend on M, so that a few images suffice.
    """
    theirs = embed(held_out)
    return lambda images: kernel_distance_full(embed(images), theirs)


def _judged_by(network: FeatureNetwork, scale: Mapping[str, Tensor], held_out: Tensor) -> str:
    return tensor_digest({**network.state_dict(), **scale, "held out": held_out})
