"""Does subsampling bring bought images closer to real ones? The experiment of docs/r5.md, on sets of images.

    python benchmarks/r5.py [--quick] [--work DIRECTORY] [--seeds 100 101 …]

Each seed trains its targets on one thread. What is in DIRECTORY already is not done again, and several
processes may work at several seeds. `--quick` runs every part in miniature: its numbers mean nothing.
"""

import argparse
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from scipy import stats
from sklearn.cluster import KMeans
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from ganguard.attacks.subsampling import within_clusters
from ganguard.attacks.subsampling.diagnostics import diagnose
from ganguard.attacks.subsampling.metropolis_hastings import ChainsStuck
from ganguard.attacks.subsampling.refining import Refinement, refine
from ganguard.attacks.subsampling.refining_settings import Refining
from ganguard.base.cache import copy_directory, write_json, write_tensors
from ganguard.base.codecs import read_tensors
from ganguard.base.compute import Compute
from ganguard.base.seeds import seeded_weights, torch_generator
from ganguard.data.dataset import RealImages
from ganguard.data.digits import Digits
from ganguard.data.idx import IdxImages
from ganguard.data.splits import adversary_split, split
from ganguard.metrics import frechet_distance, kernel_distance_full
from ganguard.metrics.features.classifier import WEIGHTS, Classifier
from ganguard.metrics.features.network import Standardisation, extract
from ganguard.metrics.features.random_network import RandomNetwork
from ganguard.targets.checkpoint import CheckpointTarget
from ganguard.targets.protocol import Discriminator
from ganguard.training.loop import train_generator
from ganguard.training.settings import TrainingSettings
from ganguard.training.supervised import train_classifier

ARMS = ("quarter", "half", "judge", "crossed", "within")
BESIDE = "algorithm 1"  # untested, for comparison
GRADES = ("reference", "train")
SEEDS = (100, 101, 102, 103, 104)
CLUSTERS = 10
JUNK = 0.3  # share of what the target with junk gives
JUDGED_SHARE = 0.3  # of what an adversary holds
COPIES_BELOW = 0.8
SIGNIFICANT = 0.05

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


@dataclass(frozen=True)
class Chosen:
    """What an adversary with some real images makes of a purchase.

    Attributes:
        own: the real images that fit ratios.
        judged: those that only the judge of the arm `judge` has.
        split_in_two, crossed: the refinements by both ways of fitting.
        kept: by arm, the rows of the purchase that it keeps, with repeats; None if its chains are stuck.
    """

    own: Tensor
    judged: Tensor
    split_in_two: Refinement
    crossed: Refinement
    kept: dict[str, Tensor | None]


def choose(target: Graded, m: int, seed: int, chain: int) -> Chosen:
    """Refine the purchase of an adversary with m real images by every arm."""
    share = min(len(target.train), round(m / (1 - JUDGED_SHARE))) / len(target.train)
    own, judged = (target.real.images[rows] for rows in adversary_split(target.train, share, seed=seed))
    network = RandomNetwork(seed=2).load(Path(), 1)
    scale = Standardisation.fit(extract(network, torch.cat([own, judged]), COMPUTE))

    def judge_against(held_out: Tensor) -> Callable[[Tensor], float]:
        theirs = scale(extract(network, held_out, COMPUTE))
        return lambda images: kernel_distance_full(scale(extract(network, images, COMPUTE)), theirs)

    def refined(settings: Refining) -> Refinement:
        judge = judge_against(judged)
        return refine(target.images, own, target.D, settings, judge, seed=seed, judge_against=judge_against)

    split_in_two, crossed = (refined(Refining(steps=chain, fitting=how)) for how in ("split", "crossed"))
    powers = {found.power: found.kept for found in split_in_two.tried}
    kept = {
        "quarter": powers.get(0.25),
        "half": powers.get(0.5),
        "judge": split_in_two.kept,
        "crossed": crossed.kept,
        "within": _within(target, own, split_in_two, seed, chain),
        BESIDE: split_in_two.plain and split_in_two.plain.kept,
    }
    return Chosen(own, judged, split_in_two, crossed, kept)


def cell(target: Graded, m: int, seed: int, chain: int) -> dict[str, object]:
    """Return what the arms made of the purchase of an adversary with m real images."""
    begun = time.process_time()
    found = choose(target, m, seed, chain)
    plain = target.distances(torch.arange(len(target.images)))
    return {
        "m": len(found.own),
        "judged": len(found.judged),
        "unrefined": plain,
        "ratios": {
            arm: {grade: distance / plain[grade] for grade, distance in target.distances(rows).items()}
            for arm, rows in found.kept.items()
            if rows is not None
        },
        "powers": {"judge": found.split_in_two.best.power, "crossed": found.crossed.best.power},
        "auc": {
            "split": found.split_in_two.ratio.diagnosis.auc,
            "crossed": found.crossed.ratio.diagnosis.auc,
        },
        "auc_reference": _auc_of_reference(target, found.split_in_two),
        "effective": found.split_in_two.ratio.diagnosis.effective_sample_size,
        "core_seconds": time.process_time() - begun,
    }


def _auc_of_reference(target: Graded, found: Refinement) -> float:
    """Return how often an image of the reference split, which D never saw, has a larger ratio than a bought
    one."""
    return diagnose(_log_ratios(target, found, target.real.images[target.reference]), found.log_ratios).auc


def _log_ratios(target: Graded, found: Refinement, images: Tensor) -> Tensor:
    return found.ratio.log_ratio(target.D.features(images).double())


def _within(target: Graded, own: Tensor, found: Refinement, seed: int, chain: int) -> Tensor | None:
    """Return what chains within clusters of D's features keep, at the power 1/4; None if they are stuck."""
    scaler = StandardScaler().fit(bought := target.D.features(target.images).double().numpy())
    means = KMeans(CLUSTERS, n_init=1, random_state=seed).fit(scaler.transform(bought))
    starts = found.ratio.held_out
    rows = scaler.transform(target.D.features(own).double().numpy())[starts]
    of_real = 0.25 * _log_ratios(target, found, own)[starts]
    try:
        return within_clusters(
            (of_real, torch.from_numpy(means.predict(rows)).long()),
            (0.25 * found.log_ratios, torch.from_numpy(means.labels_).long()),
            count=len(target.images),
            steps=chain,
            seed=seed,
        ).handles
    except ChainsStuck:
        return None


def done(work: Path, seed: int, kind: str, m: int) -> Path:
    """Return the file of a cell."""
    return work / str(seed) / "cells" / f"{kind}-{m}.json"


def measure_all(seed: int, work: Path, sizes: Sizes) -> None:
    """Measure the cells of a seed whose targets are trained and that are not there yet."""
    for kind, (data, *places) in kinds(sizes).items():
        trained_already = all((work / str(seed) / place).is_dir() for place in places)
        missing = [m for m in sizes.held[data] if not done(work, seed, kind, m).is_file()]
        if trained_already and missing:
            target = graded(kind, seed, work, sizes)
            for m in missing:
                file = done(work, seed, kind, m)
                file.parent.mkdir(exist_ok=True)
                write_json(file, found := cell(target, m, seed, sizes.chain))
                print(f"seed {seed} {kind} m {m}: {found['core_seconds']:.0f} core-seconds", flush=True)


@dataclass(frozen=True)
class Found:
    """What targets say of one arm.

    Attributes:
        logs: log ratio of each target.
        p: two-sided, of a mean log ratio of 0; after Holm once the arms of a cell are together.
    """

    logs: tuple[float, ...]
    p: float

    @property
    def mean(self) -> float:
        """The geometric mean of the ratios."""
        return math.exp(np.mean(self.logs))

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % t interval of the geometric mean."""
        half = stats.t.ppf(0.975, len(self.logs) - 1) * stats.sem(self.logs)
        return math.exp(np.mean(self.logs) - half), math.exp(np.mean(self.logs) + half)

    @property
    def verdict(self) -> str:
        """What the analysis of docs/r5.md calls it."""
        if self.p >= SIGNIFICANT:
            return "undecided"
        return "helps" if self.mean < 1 else "hurts"

    @property
    def untested(self) -> str:
        """The mean and its interval, and how many targets they are of unless they are of all."""
        low, high = self.interval
        fewer = f", n {len(self.logs)}" if len(self.logs) < len(SEEDS) else ""
        return f"{self.mean:.2f} ({low:.2f}-{high:.2f}){fewer}"

    def __str__(self) -> str:
        return self.untested + (f" **{self.verdict}**" if self.verdict != "undecided" else "")


def of_targets(logs: Sequence[float]) -> Found:
    """Return what the log ratios of two or more targets say, before Holm."""
    return Found(tuple(logs), float(stats.ttest_1samp(logs, 0).pvalue) if len(set(logs)) > 1 else 1.0)


def holm(family: dict[str, Found]) -> dict[str, Found]:
    """Return the family with its p corrected for the number of its arms (Holm 1979)."""
    adjusted: dict[str, Found] = {}
    worst = 0.0
    for rank, (arm, found) in enumerate(sorted(family.items(), key=lambda item: item[1].p)):
        worst = max(worst, min(1.0, (len(family) - rank) * found.p))
        adjusted[arm] = Found(found.logs, worst)
    return adjusted


Cells = dict[tuple[str, int], dict[int, dict[str, dict[str, float]]]]
"""By kind and m, and then by seed: the ratios by arm and grade."""


def cells(work: Path, seeds: Sequence[int], sizes: Sizes) -> Cells:
    """Return the cells that are there."""
    found: Cells = {}
    for kind, (data, *_) in kinds(sizes).items():
        for m in sizes.held[data]:
            for seed in seeds:
                if (file := done(work, seed, kind, m)).is_file():
                    found.setdefault((kind, m), {})[seed] = json.loads(file.read_text())["ratios"]
    return found


def of_cell(by_seed: dict[int, dict[str, dict[str, float]]], grade: str) -> dict[str, Found]:
    """Return what the targets of a cell say of each arm, after Holm, and of Algorithm 1, before it."""
    logs = {
        arm: [math.log(ratios[arm][grade]) for ratios in by_seed.values() if arm in ratios]
        for arm in (*ARMS, BESIDE)
    }
    found = {arm: of_targets(values) for arm, values in logs.items() if len(values) > 1}
    return holm({arm: found[arm] for arm in ARMS if arm in found}) | {
        arm: found[arm] for arm in [BESIDE] if arm in found
    }


def over_kinds(found: Cells, held: int, grade: str) -> dict[str, Found]:
    """Return what the seeds say of each arm over all kinds of targets, at the place `held` among the m of
    each, after Holm. A seed counts if it has every kind."""
    by_kind: dict[str, list[int]] = {}
    for kind, m in found:
        by_kind.setdefault(kind, []).append(m)
    parts = [found[kind, ms[held]] for kind, ms in by_kind.items() if len(ms) > held]
    family: dict[str, Found] = {}
    for arm in ARMS:
        logs = [
            np.mean([math.log(part[seed][arm][grade]) for part in parts])
            for seed in sorted(set.intersection(*(set(part) for part in parts)))
            if all(arm in part[seed] for part in parts)
        ]
        if len(logs) > 1:
            family[arm] = of_targets(logs)
    return holm(family)


def crossed_against_judge(found: Cells) -> Found:
    """Return the ratio of `crossed` to `judge` over all cells, a value a seed: the rule for the default."""
    by_seed: dict[int, list[float]] = {}
    for cell_of in found.values():
        for seed, ratios in cell_of.items():
            logs = [math.log(ratios[arm]["reference"]) for arm in ("crossed", "judge")]
            by_seed.setdefault(seed, []).append(logs[0] - logs[1])
    return of_targets([float(np.mean(logs)) for logs in by_seed.values()])


def lines(found: Cells) -> Iterator[str]:
    """Yield the tables in Markdown."""
    for grade in GRADES:
        yield f"\nFD to the {grade} split, refined over unrefined\n"
        yield "| kind | m | " + " | ".join((*ARMS, BESIDE)) + " |\n" + "|---" * (3 + len(ARMS)) + "|"
        for (kind, m), by_seed in found.items():
            said = of_cell(by_seed, grade)
            tested = [str(said.get(arm, "too few targets")) for arm in ARMS]
            beside = said[BESIDE].untested if BESIDE in said else "too few targets"
            yield f"| {kind} | {m} | " + " | ".join([*tested, beside]) + " |"
        for held, which in enumerate(("least", "middle", "most")[: max(map(len, _held(found)), default=0)]):
            said = over_kinds(found, held, grade)
            yield f"| all kinds | {which} | " + " | ".join(str(said.get(arm, "-")) for arm in ARMS) + " | |"
    if all(len(by_seed) > 1 for by_seed in found.values()):
        yield f"\ncrossed / judge, over all cells, reference split: {crossed_against_judge(found)}"
    worth = [
        f"{kind} m {m} {arm}"
        for (kind, m), by_seed in found.items()
        for arm, said in of_cell(by_seed, "reference").items()
        if arm in ARMS and said.mean < COPIES_BELOW
    ]
    yield f"copies are worth training in: {', '.join(worth) or 'no cell'}"


def _held(found: Cells) -> list[list[int]]:
    return [[m for kind, m in found if kind == of] for of in {kind for kind, _ in found}]


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="every part in miniature")
    parser.add_argument("--work", type=Path, default=Path("r5"), help="where targets and cells are kept")
    parser.add_argument("--seeds", type=int, nargs="+", default=[])
    given = parser.parse_args(words)
    sizes, seeds = (QUICK, (0, 1)) if given.quick else (FULL, SEEDS)
    torch.set_num_threads(1)
    for seed in given.seeds or seeds:
        train_all(seed, given.work, sizes)
        measure_all(seed, given.work, sizes)
    print("\n".join(lines(cells(given.work, seeds, sizes))))


if __name__ == "__main__":
    main()
