"""What is it worth to choose what one asks for?

    python benchmarks/asking.py AUDIT [--first SEED] [--purchases N] [--ways WAY …] [--copies]
    python benchmarks/asking.py AUDIT --target CHECKPOINT …

AUDIT is the directory of a finished audit of digits, such as `ganguard audit digits`; its target is bought
from, unless another one is named, and its features are compared by. For each way to ask, images are bought
by N seeds (5) of no audit, and compared with 8,000 images of the target that nobody bought, at each budget:
the Fréchet distance of the bought set; of a target that is asked for classes, its mean within classes too.
Printed are all of these numbers, their means and deviations, the ratio to asking at random (geometric mean
over purchases, 95 % t-interval), and at which of the budgets a way is as near as random asking is at each.

Codes that are chosen are no sample of the target's law. So the largest set is also weighted: each image by
the share of the target's codes whose images are expected nearest to it.

--copies trains a `fidelity` copy, and one by `distillation`, on 1,000 images of each purchase, by the recipe
of `digits-distillation`, and measures them in place of the sets: about a minute of a quiet core each.
"""

import argparse
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import exp, log
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganguard.attacks.protocol import Knowledge, Workspace, parse_attack, run_attack
from ganguard.base.seeds import derived_seed
from ganguard.metrics import frechet_distance
from ganguard.queries.choosing.students import teach
from ganguard.queries.harvest import harvest
from ganguard.queries.store import Store
from ganguard.results.intervals import t_interval
from ganguard.targets.ask import UNIFORM, ask_to_store, asked_of, parse_ask
from ganguard.targets.conditions import conditions_of, sample
from of_audit.finished import COMPUTE, FIRST, SEEN, embedding_of, opened, refuse

BUDGETS = (400, 800, 1600)
DRAWN, OF_A_CLASS = 8000, 1000  # images of the target that nobody bought: in all, and of each class
CODES = 2000  # that nobody sent, by which copies are compared one by one
COPIED = 1000  # images that a copy is trained on
TRAINING: Mapping[str, Any] = {  # of `digits-distillation`
    "architecture": "sngan",
    "steps": 1500,
    "batch_size": 32,
    "learning_rate": 4.0e-3,
    "ema_decay": 0.997,
    "n_dis": 1,
}
OF_CODES: Mapping[str, Any] = {
    "random": "uniform",
    "coreset": "coreset",
    "uncertainty": "uncertainty",
    "truncated at 2": {"prior": "truncated"},
    "truncated at 1": {"prior": {"kind": "truncated", "bound": 1}},
    "uniform, -1 to 1": {"prior": "uniform"},
    "uniform, variance 1": {"prior": {"kind": "uniform", "low": -(3**0.5), "high": 3**0.5}},
}
OF_CLASSES: Mapping[str, Any] = {"random": "uniform", "spread": "spread", "conditions": "conditions"}
Embed = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Seen:
    """What is compared with: a target's images, and its features of each class."""

    target: Any
    embed: Embed
    theirs: Tensor
    of_classes: tuple[Tensor, ...]

    def distances(self, images: Tensor, asked: Sequence[str]) -> dict[str, float]:
        """Return the distances of images (N, C, H, W), of which each was asked for a class if there are."""
        features = self.embed(images)
        found = {"FD": frechet_distance(features, self.theirs)}
        if known := conditions_of(self.target):
            numbers = known.numbers(asked)
            within = [
                frechet_distance(features[numbers == number], own)
                for number, own in enumerate(self.of_classes)
            ]
            found["FD within classes"] = float(np.mean(within))
        return found


def seen(target: Any, embed: Embed) -> Seen:
    """Draw what is compared with."""
    conditions = asked_of(target, UNIFORM, range(DRAWN), seed=SEEN)
    theirs = embed(sample(target, range(DRAWN), seed=SEEN, conditions=conditions))
    known = conditions_of(target)
    of_classes = [
        embed(target.sample(range(OF_A_CLASS), seed=SEEN, conditions=torch.full((OF_A_CLASS,), number)))
        for number in range(len(known) if known else 0)
    ]
    return Seen(target, embed, theirs, tuple(of_classes))


def store_of(target: Any, way: Any, seed: int, directory: str) -> Store:
    """Return the empty store of a purchase."""
    codes = "provider" if conditions_of(target) else "client"
    ask = ask_to_store(target, parse_ask(way, "way"))
    return Store(Path(directory) / "store", target.identity, "us", seed, codes, ask=ask)


def of_sets(way: Any, seed: int, beside: Seen) -> dict[str, float]:
    """Buy by a way to ask, and return the distances at each budget."""
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as directory:
        store, most = store_of(beside.target, way, seed, directory), max(BUDGETS)
        images = harvest(beside.target, store, most)
        for budget in BUDGETS:
            for name, value in beside.distances(images[:budget], store.asked(budget) or ()).items():
                found[f"{name}, {budget:,}"] = value
        if store.ask and store.ask.chooses_codes:
            again = weighted(images, store.read_codes(most), beside.target, seed)
            found[f"FD, {most:,}, weighted"] = frechet_distance(beside.embed(images)[again], beside.theirs)
    return found


def weighted(images: Tensor, codes: Tensor, target: Any, seed: int) -> Tensor:
    """Return rows of chosen images, (DRAWN,): the nearest by the students to each code of the target's."""
    students = teach(codes, images, students=2, seed=derived_seed(seed, "weights"))
    own = students.describe(codes)
    drawn = students.describe(target.draw_latents(range(DRAWN), seed=derived_seed(seed, "weights")))
    return torch.cat([torch.cdist(part, own).argmin(1) for part in drawn.split(1024)])


def of_copies(way: Any, seed: int, beside: Seen) -> dict[str, float]:
    """Train copies on a purchase, and return how far they are from the target."""
    target, found = beside.target, dict[str, float]()
    codes = target.draw_latents(range(CODES), seed=SEEN)
    theirs = target.generate(codes).double()
    for kind in ("fidelity", "distillation"):
        with tempfile.TemporaryDirectory() as directory:
            settings = parse_attack({"kind": kind, "query_budget": COPIED, **TRAINING})
            workspace = Workspace(Path(directory), store_of(target, way, seed, directory), COMPUTE)
            made = run_attack(target, settings, Knowledge(), workspace, seed=derived_seed(seed, kind))
            copy = opened(made.checkpoint)
        found[f"{kind}: FD"] = beside.distances(copy.sample(range(DRAWN), seed=seed), ())["FD"]
        apart = (copy.generate(codes).double() - theirs).abs().mean().item() * 2 / 255
        found[f"{kind}: L1 of a code"] = apart
    return found


def said(name: str, way: Mapping[str, list[float]], random: Mapping[str, list[float]]) -> list[str]:
    """Return a line for each number of a way to ask: its mean and deviation, and the ratio to random."""
    lines: list[str] = []
    for of, values in way.items():
        line = f"{name}, {of}: {np.mean(values):.3f} ± {np.std(values, ddof=min(1, len(values) - 1)):.3f}"
        usual = random.get(of.removesuffix(", weighted"))
        if usual and name != "random":
            logs = [log(value / other) for value, other in zip(values, usual, strict=True)]
            line += f", {exp(np.mean(logs)):.2f} times random asking's"
            if len(logs) > 1:
                mean, half = t_interval(logs)
                line += f" ({exp(mean - half):.2f} to {exp(mean + half):.2f})"
        lines.append(line)
    return lines


def reached(way: Mapping[str, list[float]], random: Mapping[str, list[float]], of: str) -> str:
    """Return, for each budget of random asking, the least one at which a way is as near in the mean."""
    found: list[str] = []
    for budget in BUDGETS:
        goal = np.mean(random[f"{of}, {budget:,}"])
        enough = [n for n in BUDGETS if np.mean(way[f"{of}, {n:,}"]) <= goal]
        found.append(f"{budget:,}: {f'{enough[0]:,}' if enough else f'more than {BUDGETS[-1]:,}'}")
    return ", ".join(found)


def options() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(description="What is it worth to choose what one asks for?")
    parser.add_argument("audit", type=Path)
    parser.add_argument("--target", type=Path)
    parser.add_argument("--first", type=int, default=FIRST)
    parser.add_argument("--purchases", type=int, default=5)
    parser.add_argument("--ways", nargs="+")
    parser.add_argument("--copies", action="store_true")
    return parser.parse_args()


def main() -> None:
    """Buy, compare and print."""
    asked = options()
    embed = embedding_of(asked.audit)
    target = opened(asked.target or asked.audit / "checkpoints" / "target")
    beside, measure = seen(target, embed), of_copies if asked.copies else of_sets
    every = OF_CLASSES if conditions_of(target) else OF_CODES
    if unknown := set(asked.ways or ()) - set(every):
        refuse(f"--ways: unknown {', '.join(sorted(unknown))}. Known of this target: {', '.join(every)}.")
    ways = {name: every[name] for name in asked.ways or every}
    found = {name: dict[str, list[float]]() for name in ways}
    for seed in range(asked.first, asked.first + asked.purchases):
        for name, way in ways.items():
            numbers = measure(way, seed, beside)
            for of, value in numbers.items():
                found[name].setdefault(of, []).append(value)
            print(f"purchase {seed}, {name}: " + ", ".join(f"{k} {v:.3f}" for k, v in numbers.items()))
            print(end="", flush=True)
    random = found.get("random", {})
    for name, numbers in found.items():
        print("\n".join(said(name, numbers, random)))
        if random and name != "random" and not asked.copies:
            of = "FD within classes" if conditions_of(target) else "FD"
            print(f"{name}, as near ({of}) as random asking at: {reached(numbers, random, of)}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
