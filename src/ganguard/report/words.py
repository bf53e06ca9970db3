"""The findings in words, for an owner who must decide how many images to sell."""

from collections.abc import Iterable
from dataclasses import dataclass

from ganguard.report.by_class import class_remarks
from ganguard.report.cards import Card, cards, images
from ganguard.report.findings import (
    NOISE_TO_REAL,
    NOISE_TO_TARGET,
    TARGET_TO_REAL,
    TWO_DRAWS,
    TWO_SPLITS,
    CopyDistances,
    closest,
    copies,
    handed_out,
    seeds,
    yardstick,
)
from ganguard.report.independent import beside_headline, floors
from ganguard.report.independent import remarks as honest_remarks
from ganguard.report.numbers import counted, listed, number, whole, whole_interval
from ganguard.report.weak import failed_copies, weak_headline
from ganguard.results.protection import NAIVE
from ganguard.results.records import Against, AuditResults
from ganguard.results.summaries import Summary

HEADINGS: dict[Against, tuple[str, str]] = {
    "target": ("Fidelity: distance to the target", "Each set of images against images of the target"),
    "reference": (
        "Accuracy: distance to the held-out real images",
        "Each set of images against the reference split of the real images, and the two halves against "
        "each other",
    ),
    "train": (
        "Accuracy: distance to the real training images (the paper's p_r)",
        "Each set of images against the train split of the real images, which targets and honest models "
        "learn from: what remembers them looks near",
    ),
    "domain": (
        "Transfer: distance to the other domain's held-out real images",
        "Each set of images against the reference split of the domain that copies were moved to",
    ),
    "purchase": (
        "Memorisation: does a copy replay what it was trained on?",
        "Each set of images beside the bought images that the copy was trained on; fresh images are further "
        "ones of the target",
    ),
    "known": (
        "Memorisation of the adversary's real images",
        "Each copy beside the real images that its adversary trained it on; fresh images are held-out real "
        "ones",
    ),
    "undefended": ("Images behind a defence, beside those of the same codes without it", "Pair by pair"),
    "code": (
        "Functional fidelity: the copy's image of a code beside the target's",
        "Each copy beside the target, code by code, on codes that no adversary sent. A copy that learnt from "
        "images alone gives what unrelated codes give, however small its Fréchet distance",
    ),
    "nothing": (
        "Each set by itself",
        "Each set of images, compared with no other",
    ),
}
"""Heading and caption of each table of measured numbers: the caption says what is compared."""
MEASURED_AGAINST = {
    "target": "to the target itself",
    "reference": "to a reference that its owner holds, without the defences of the API",
    "api": "to what the API returns, with any defences it may have: protection is not judged",
}
HARDLY = 0.05  # a distance that changes by a smaller share than this "hardly changes"


@dataclass(frozen=True)
class Headline:
    """What was found.

    Attributes:
        lead: one sentence.
        cards: one for each budget, then what copies are read by.
        remarks: sentences that put the numbers in proportion.
        spread: says what the spreads are measured over.
        note: what the lead leaves out; empty if nothing.
    """

    lead: str
    cards: tuple[Card, ...]
    remarks: tuple[str, ...]
    spread: str
    note: str = ""


def headline(results: AuditResults) -> Headline:
    """Return the findings in words, for any number of budgets and attacks, with or without yardsticks."""
    if not results.attacks and not results.select(subject="substitute"):
        return Headline("What would defences of this model leave to honest users?", (), (), "")
    found = copies(results)
    best = closest(found, "target")
    learnt = [copy for copy in found if (copy.attack, copy.query_budget) not in failed_copies(results)]
    best_learnt = closest(learnt, "target")  # what failed copies do is no finding
    handed = closest(handed_out(results), "target")
    floor = yardstick(results, TWO_DRAWS)
    return Headline(
        lead=_lead(results, best, handed, floor),
        cards=cards(results, best, handed, floor),
        remarks=tuple(
            filter(
                None,
                [
                    *honest_remarks(results),
                    _gain(best_learnt),
                    _beside_real(results, best_learnt),
                    _accuracy(results, learnt),
                    *class_remarks(results),
                    _noise(results),
                ],
            )
        ),
        spread=spread_in_words(
            summary for copy in found for summary in (copy.fidelity, copy.accuracy) if summary
        ),
    )


def spread_in_words(summaries: Iterable[Summary]) -> str:
    """Return one sentence on what the spread of these numbers is measured over."""
    known = list(summaries)
    if not known:
        return "Nothing was measured on copies, so there is no spread to state."
    counts = [summary.count for summary in known if summary.over == "seeds"]
    if not counts:
        return "Copies have one seed, and so no spread: how much another copy would differ is not known."
    return (
        f"Spread is the least to the greatest value over {whole_interval(counts)} seeds: each seed buys its "
        "own images and trains a new copy."
    )


def one_seed(results: AuditResults) -> str:
    """Return a warning that comes before every finding, if all copies have one seed; empty if not."""
    if len(seeds(results)) != 1:
        return ""
    return (
        "One seed: how much another copy would differ is not known, and nothing about copies is decided. Run "
        "three seeds or more."
    )


def _lead(
    results: AuditResults,
    best: dict[int, tuple[str, Summary]],
    handed: dict[int, tuple[str, Summary]],
    floor: Summary | None,
) -> str:
    if not best:
        return (
            "No copy of this model was measured against it, so this audit says nothing about how closely it "
            "can be copied."
        )
    budget, (attack, summary) = max(best.items())
    if weak := weak_headline(results, attack, budget):
        return weak
    apart = f"; two draws of the model itself are {number(floor.mean)} apart" if floor else ""
    return (
        f"With {images(budget)}, a copy comes within a Fréchet distance (FD) of {number(summary.mean)} of "
        f"this model{apart}. {beside_headline(results, attack, budget)}"
        f"{_without_training(handed.get(budget), summary)}"
    )


def _without_training(handed: tuple[str, Summary] | None, copy: Summary) -> str:
    """Return that bought images, handed out again, are closer than the closest copy; empty if they are not.

    Args:
        handed: what the bought images are called, and their distance; None if it was not measured.
        copy: distance of that copy.
    """
    if handed is None or handed[1].mean >= copy.mean:
        return ""
    distance = number(handed[1].mean)
    return f" Handed out again, without any training, the bought images are closer: FD {distance}."


def _gain(best: dict[int, tuple[str, Summary]]) -> str:
    """Return what the last step up in budget brings the adversary."""
    if len(best) < 2:
        return ""
    (before, (_, earlier)), (after, (_, later)) = list(best.items())[-2:]
    step = f"Going from {whole(before)} to {images(after)}"
    if earlier.mean <= 0 or later.mean <= 0 or abs(later.mean / earlier.mean - 1) < HARDLY:
        return f"{step} hardly changes how close the closest copy comes."
    ratio = later.mean / earlier.mean
    distance = "the distance of the closest copy"
    if ratio < 1:
        return f"{step} divides {distance} by {number(1 / ratio, 2)}."
    return f"{step} multiplies {distance} by {number(ratio, 2)}."


def _beside_real(results: AuditResults, best: dict[int, tuple[str, Summary]]) -> str:
    """Return at which budget a copy is nearer to the target than the target is to real images."""
    own = yardstick(results, TARGET_TO_REAL)
    if own is None or not best or not floors(results):  # without an honest floor, nothing is called near
        return ""
    distance = f"FD {number(own.mean)}"
    floor = yardstick(results, TWO_SPLITS)
    # the reference split is a small sample, which adds to the distance
    above_floor = own.mean - (floor.mean if floor else 0.0)
    nearer = [budget for budget, (_, summary) in best.items() if summary.mean < above_floor]
    if not nearer:
        return (
            "At every budget, the closest copy is farther from this model than the model is from real images "
            f"({distance})."
        )
    already = "already " if len(best) > 1 else ""
    return (
        f"With {images(min(nearer))}, the closest copy is {already}nearer to this model than the model is"
        f" to real images ({distance})."
    )


def _accuracy(results: AuditResults, found: list[CopyDistances]) -> str:
    """Return how close a copy comes to the real images, beside the target's own distance to them."""
    best = closest(found, "reference")
    if not best:
        return ""
    budget, (_, summary) = min(best.items(), key=lambda item: item[1][1].mean)
    own = yardstick(results, TARGET_TO_REAL)
    beside = f"; this model's own distance to them is {number(own.mean)}" if own else ""
    nearest = number(summary.mean)
    return f"To real images, a copy comes within FD {nearest} at best, with {images(budget)}{beside}."


def _noise(results: AuditResults) -> str:
    for wanted, what in ((NOISE_TO_TARGET, "this model"), (NOISE_TO_REAL, "real images")):
        found = yardstick(results, wanted)
        if found:
            return f"For scale: images of pure noise are FD {number(found.mean)} away from {what}."
    return ""


def limits(results: AuditResults) -> list[str]:
    """Return what the audit does not prove, one or two sentences each."""
    adaptive = [adversary for adversary in results.adversaries if adversary != NAIVE]
    found = seeds(results)
    count = counted(len(found), "seed")
    single = "" if results.select(against="code") else ", and single images are not compared"
    return [
        f"One target and one real data set ({results.real}) were measured. Other models, data or "
        "resolutions may behave otherwise.",
        "The adversaries follow the recipes listed here, at the budgets listed here. A better recipe, "
        "longer training or a larger budget can give a closer copy, so these distances say what is "
        "possible, not what is the best possible.",
        f"Fréchet distance sees what its feature network sees ({results.features.kind}, "
        f"{whole(results.features.dimensions)} dimensions). Copies that differ in ways these features miss "
        f"look closer than they are{single}.",
        _of_defences(results, adaptive),
        "Nothing is said about the privacy of the training data.",
        f"The spread covers {count if found else 'what is stated beside each number'} and nothing else: one "
        "trained target, one split of the data, one feature network.",
    ]


def _of_defences(results: AuditResults, adaptive: list[str]) -> str:
    if not results.defences:
        return "Nothing is said about defences."
    if not adaptive:
        return (
            "Defences were tried against naive adversaries only. An adversary that knows of a defence may "
            "come nearer."
        )
    return (
        "Defences were tried against adversaries that know the kind of defence, and its strength or a guess "
        f"of it ({listed(adaptive)}). Another way around a defence may come nearer."
    )
