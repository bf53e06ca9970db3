"""The targets of benchmarks/r5.py: how they are trained, who grades, and how much is done (docs/r5.md)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from ganguard.base.cache import copy_directory, write_tensors
from ganguard.base.codecs import read_tensors
from ganguard.base.compute import Compute
from ganguard.base.seeds import seeded_weights, torch_generator
from ganguard.data.dataset import RealImages
from ganguard.data.digits import Digits
from ganguard.data.idx import IdxImages
from ganguard.data.splits import split
from ganguard.metrics import frechet_distance
from ganguard.metrics.features.classifier import WEIGHTS, Classifier
from ganguard.metrics.features.network import Standardisation, extract
from ganguard.targets.checkpoint import CheckpointTarget
from ganguard.targets.protocol import Discriminator
from ganguard.training.loop import train_generator
from ganguard.training.settings import TrainingSettings
from ganguard.training.supervised import train_classifier

GRADES = ("reference", "train")
JUNK = 0.3  # share of what the target with junk gives
FASHION = Path("/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz")
FASHION_SIDE = 14  # pixels, from 28
COMPUTE = Compute(threads=1)
ALWAYS, RARE = 5, 10  # the imbalanced G sees all digits below 5, and every tenth image of the others
RECIPE = {"architecture": "sngan", "batch_size": 32, "learning_rate": 4e-3, "ema_decay": 0.997}


@dataclass(frozen=True)
class Sizes:
    """How much is done.

    Attributes:
        early: steps of the early digits' G.
        digits: steps of the digits' D, and of the G beside which junk is mixed in.
        imbalanced: steps of the G that rarely sees some classes.
        fashion: steps of the G and of the D of Fashion-MNIST.
        bought: images bought.
        chain: K, steps of a chain.
        held: m, by data set.
        classifier: training steps of the grader.
    """

    early: tuple[int, ...]
    digits: int
    imbalanced: int
    fashion: tuple[int, int]
    bought: int
    chain: int
    held: dict[str, tuple[int, ...]]
    classifier: int


FULL = Sizes(
    early=(300, 600, 1000),
    digits=2000,
    imbalanced=1000,
    fashion=(300, 1000),
    bought=3000,
    chain=640,
    held={"digits": (88, 440, 881), "fashion": (88, 440, 2000)},
    classifier=600,
)
QUICK = Sizes(
    early=(2,),
    digits=4,
    imbalanced=2,
    fashion=(2, 4),
    bought=100,
    chain=10,
    held={"digits": (40,), "fashion": (40,)},
    classifier=5,
)


def fashion(side: int) -> RealImages:
    """Return Fashion-MNIST, averaged down to side x side pixels."""
    real = IdxImages(path=str(FASHION)).load()
    small = torch.cat([F.adaptive_avg_pool2d(part.float(), side) for part in real.images.split(10_000)])
    return RealImages(small.round().to(torch.uint8), real.labels, real.classes)


def trained(images: Tensor, place: Path, stops: Sequence[int], *, n_dis: int, seed: int) -> None:
    """Train a GAN, and keep its checkpoints of the ascending steps `stops` in `place`/step-…"""
    for stop in stops:
        if (kept := place / f"step-{stop}").is_dir():
            continue
        settings = TrainingSettings.model_validate(
            {**RECIPE, "steps": stop, "n_dis": n_dis, "checkpoint_every": 100}
        )
        copy_directory(train_generator(images, settings, place, seed=seed, compute=COMPUTE), kept)


def train_all(seed: int, work: Path, sizes: Sizes) -> None:
    """Train the targets of a seed, those of the digits first."""
    place, real = work / str(seed), Digits().load()
    rows = split(real).train
    images, labels = real.images[rows], real.labels_of(rows).numbers
    trained(images, place / "digits", (*sizes.early, sizes.digits), n_dis=5, seed=seed)
    seen = labels < ALWAYS
    seen[(~seen).nonzero()[::RARE, 0]] = True
    trained(images[seen], place / "imbalanced", [sizes.imbalanced], n_dis=1, seed=seed)
    if FASHION.is_file():
        real = fashion(FASHION_SIDE)
        trained(real.images[split(real).train], place / "fashion", sizes.fashion, n_dis=5, seed=seed)


@dataclass(frozen=True)
class Graded:
    """What one target sold, and what grades it.

    Attributes:
        images: the purchase, (N, C, H, W) uint8.
        D: the target's discriminator.
        real: its real images.
        train, reference: rows of the two splits of them.
        distances: function from rows of the purchase to their FD to the real images, by grade.
        distances_of: the same of images.
    """

    images: Tensor
    D: Discriminator
    real: RealImages
    train: Tensor
    reference: Tensor
    distances: Callable[[Tensor], dict[str, float]]
    distances_of: Callable[[Tensor], dict[str, float]]


def grader(real: RealImages, file: Path, steps: int) -> Callable[[Tensor], Tensor]:
    """Return the audit's feature network for these images, trained on their train split once."""
    rows, settings = split(real).train, Classifier(steps=steps)
    images, labels = real.images[rows], real.labels_of(rows)
    assert labels is not None  # noqa: S101 - both data sets have classes
    with seeded_weights(0):
        network = settings.untrained(1, len(labels.names))
    if not (file / WEIGHTS).is_file():
        train_classifier(network, images, labels.numbers, steps=steps, seed=0, compute=COMPUTE)
        file.mkdir(parents=True, exist_ok=True)
        write_tensors(file / WEIGHTS, network.state_dict())
    network.load_state_dict(read_tensors(file / WEIGHTS)[0])
    scale = Standardisation.fit(extract(network, images, COMPUTE))
    return lambda seen: scale(extract(network, seen, COMPUTE))


def junk(images: Tensor, seed: int) -> Tensor:
    """Return the images with a share of them replaced by images of Fashion-MNIST, at random places."""
    generator, others = torch_generator(seed, "junk"), fashion(images.shape[-1]).images
    places = torch.randperm(len(images), generator=generator)[: round(JUNK * len(images))]
    mixed = images.clone()
    mixed[places] = others[torch.randperm(len(others), generator=generator)[: len(places)]]
    return mixed


def kinds(sizes: Sizes) -> dict[str, tuple[str, str, str]]:
    """Return of each kind of target its data set, and the places of its G and its D below its seed's."""
    last = f"digits/step-{sizes.digits}"
    found = {f"early-{step}": ("digits", f"digits/step-{step}", last) for step in sizes.early}
    found["imbalanced"] = ("digits", f"imbalanced/step-{sizes.imbalanced}", last)
    if FASHION.is_file():
        early, late = (f"fashion/step-{step}" for step in sizes.fashion)
        found["junk"] = ("digits", last, last)
        found[f"fashion-{sizes.fashion[0]}"] = ("fashion", early, late)
    return found


def graded(kind: str, seed: int, work: Path, sizes: Sizes) -> Graded:
    """Return the purchase from the target of a kind and a seed, ready to be graded."""
    data, *places = kinds(sizes)[kind]
    real = Digits().load() if data == "digits" else fashion(FASHION_SIDE)
    rows = split(real)
    G, D = (CheckpointTarget(checkpoint=str(work / str(seed) / place)).load(COMPUTE) for place in places)
    images = G.sample(range(sizes.bought), seed=seed)
    images = junk(images, seed) if kind == "junk" else images
    embed = grader(real, work / "graders" / data, sizes.classifier)
    seen, theirs = embed(images), {name: embed(real.images[getattr(rows, name)]) for name in GRADES}

    def apart(features: Tensor) -> dict[str, float]:
        return {name: frechet_distance(features, real_ones) for name, real_ones in theirs.items()}

    return Graded(
        images,
        D.discriminator,
        real,
        rows.train,
        rows.reference,
        distances=lambda kept: apart(seen[kept]),
        distances_of=lambda others: apart(embed(others)),
    )
