"""What adversaries with some real images make of their purchases, and how near that is: the arms of
benchmarks/r5.py (docs/r5.md)."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from sklearn.cluster import KMeans
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from ganguard.attacks.subsampling import within_clusters
from ganguard.attacks.subsampling.diagnostics import diagnose
from ganguard.attacks.subsampling.metropolis_hastings import ChainsStuck
from ganguard.attacks.subsampling.refining import Refinement, refine
from ganguard.attacks.subsampling.refining_settings import Refining
from ganguard.base.cache import write_json
from ganguard.data.splits import adversary_split
from ganguard.metrics import kernel_distance_full
from ganguard.metrics.features.network import Standardisation, extract
from ganguard.metrics.features.random_network import RandomNetwork
from r5_experiment.targets import COMPUTE, Graded, Sizes, graded, kinds

ARMS = ("quarter", "half", "judge", "crossed", "within")
BESIDE = "algorithm 1"  # untested, for comparison
CLUSTERS = 10
JUDGED_SHARE = 0.3  # of what an adversary holds


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
