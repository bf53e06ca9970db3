"""What an audit will cost: minutes, disk, images and money."""

import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ganguard.architectures.networks import build_networks
from ganguard.audit.check.pace import recipe_key
from ganguard.audit.check.speeds import Speeds
from ganguard.audit.check.work import Work, work_of
from ganguard.audit.plan.adversary_work import PurchaseSettings, ReplaySettings, ReworkSettings
from ganguard.audit.plan.ground_work import RealSettings, UtilitySettings, YardsticksSettings
from ganguard.audit.plan.parts import Plan, PurchasePlan
from ganguard.audit.plan.step import Step
from ganguard.audit.spec.spec import Spec
from ganguard.audit.steps.measurements import DRAWS
from ganguard.base.errors import SpecError
from ganguard.results.records import AccountRecord
from ganguard.training.settings import TrainingSettings

PARTS = ("training", "target's images", "copies' images", "features", "comparing")
_SETS = 3  # sets of features that yardsticks keep
_FLOAT = 4  # bytes
STARTING = 4.0  # seconds in which a process of the pool begins, mostly importing torch
EACH_STEP = 0.5  # seconds of a step beside its work: reading, digests, writing


@dataclass(frozen=True)
class Cost:
    """What is left to do of an audit.

    Attributes:
        seconds: wall time on `processes` processes; None if no speed is known.
        processes: how many steps run at once.
        parts: seconds of processor by kind of work, of those that are known.
        unknown: the kinds of work whose speed is not known; `seconds` is without them.
        disk: bytes that the audit's directory will hold at most, with what it holds already.
        buys: images that are left to buy.
        charged: how many of them are charged: defences stand before answers of an API that are kept.
        money: what these cost; None without a price.
        adversaries: what the adversaries' share of them costs.
    """

    seconds: float | None
    processes: int
    parts: Mapping[str, float]
    unknown: tuple[str, ...]
    disk: float | None
    buys: int
    charged: int
    money: float | None
    adversaries: float | None


def estimate(
    spec: Spec,
    plan: Plan,
    done: Collection[str],
    speeds: Speeds | None,
    bought: Collection[AccountRecord],
    processes: int,
) -> Cost:
    """Return what an audit will still cost.

    Args:
        spec: its spec.
        plan: its plan.
        done: the names of the steps that are finished.
        speeds: of this machine; None if they are not known.
        bought: what was bought before.
        processes: how many steps run at once.
    """
    to_do = [step for step in plan.steps if step.name not in done]
    parts: dict[str, float] = dict.fromkeys(PARTS, 0.0)
    unknown = set[str]()
    took: dict[str, float] = {}
    if speeds:
        real_images = speeds.real_images or spec.samples
        for step in to_do:
            spent = _seconds(work_of(step, real_images), speeds)
            unknown |= {part for part, seconds in spent.items() if seconds is None}
            took[step.name] = sum(seconds or 0.0 for seconds in spent.values())
            for part, seconds in spent.items():
                parts[part] += seconds or 0.0
    buys = charged = _left(plan, bought, plan.auditor, plan.purchases)
    if getattr(spec.target, "keeps_answers", False) and plan.ground.measured_target is plan.ground.target:
        undefended = [record for record in bought if record.defence is None]
        direct = [purchase for purchase in plan.purchases if purchase.scenario.defence is None]
        charged = _left(plan, undefended, DRAWS * spec.samples, direct)
    return Cost(
        seconds=_in_all(to_do, took, processes) if speeds else None,
        processes=processes,
        parts={part: seconds for part, seconds in parts.items() if seconds},
        unknown=tuple(part for part in PARTS if part in unknown),
        disk=disk(plan, speeds, spec.samples) if speeds else None,
        buys=sum(buys),
        charged=sum(charged),
        money=None if spec.price is None else sum(charged) * spec.price,
        adversaries=None if spec.price is None else charged[1] * spec.price,
    )


def _left(
    plan: Plan, bought: Collection[AccountRecord], auditor: int, purchases: Collection[PurchasePlan]
) -> tuple[int, int]:
    """Return how many images the auditor and the adversaries have left to buy.

    Args:
        plan: the plan.
        bought: what was bought before.
        auditor: images that the auditor buys in all.
        purchases: of the adversaries.
    """
    # Images that were bought before the audit are paid.
    by_adversaries = 0 if plan.ground.bought else sum(purchase.queries for purchase in purchases)
    before = Counter[str]()
    for record in bought:
        before[record.role] += record.bought
    return max(0, auditor - before["auditor"]), max(0, by_adversaries - before["adversary"])


def _seconds(work: Work, speeds: Speeds) -> dict[str, float | None]:
    """Return the seconds of each part of a step's work; None for a part whose speed is not known."""
    paces = [(speeds.trainings.get(recipe_key(recipe)), steps) for recipe, steps in work.trainings]
    pace = paces[0][0] if paces else None
    counted: list[tuple[str, int, float | None]] = [
        *(("training", steps, pace and pace.step) for pace, steps in paces),
        ("training", work.classified, speeds.classifying),
        ("copies' images", work.made, pace.image if pace else None),
        ("target's images", work.drawn, speeds.drawing),
        ("features", work.embedded, speeds.embedding),
        ("comparing", work.compared, speeds.comparing),
    ]
    found: dict[str, float | None] = {}
    for part, count, each in counted:
        if count:
            before = found.get(part, 0.0)
            found[part] = None if each is None or before is None else before + count * each
    return found


def _in_all(steps: Collection[Step], took: Mapping[str, float], processes: int) -> float:
    """Return the seconds of all steps, with what they take beside their work."""
    if not steps:
        return 0.0
    whole = {name: seconds + EACH_STEP for name, seconds in took.items()}
    return wall_time(steps, whole, processes) + (STARTING if processes > 1 else 0.0)


def wall_time(steps: Collection[Step], took: Mapping[str, float], processes: int) -> float:
    """Return the seconds after which all steps are done, if each takes the seconds in `took`.

    Each begins when what it needs is done and a process is free, long ones first, as in an execution.
    """
    waiting = {step.name: step for step in steps}
    running: dict[str, float] = {}
    now = 0.0
    while waiting or running:
        open_ = waiting.keys() | running.keys()
        ready = [step for step in waiting.values() if not _needs(step) & open_]
        for step in sorted(ready, key=lambda step: -step.cost)[: processes - len(running)]:
            running[step.name] = now + took[step.name]
            del waiting[step.name]
        if not running:
            break  # what the rest needs is not in the plan
        now = min(running.values())
        running = {name: end for name, end in running.items() if end > now}
    return now


def _needs(step: Step) -> set[str]:
    return {i.step.name for i in step.inputs.by_role().values()} | {before.name for before in step.after}


def disk(plan: Plan, speeds: Speeds, samples: int) -> float:
    """Return the bytes that an audit's directory will hold at most: images count as bytes of pixels, although
    they are kept as PNG."""
    pixels = math.prod(speeds.image_shape)
    each: dict[type, Callable[[Any], float]] = {
        RealSettings: lambda _: (speeds.real_images or samples) * pixels,
        YardsticksSettings: lambda _: DRAWS * samples * pixels + _SETS * samples * speeds.dimensions * _FLOAT,
        UtilitySettings: lambda _: samples * pixels,
        PurchaseSettings: lambda step: max(step.settings.budgets) * pixels,
        ReworkSettings: lambda step: step.settings.images * pixels,
        ReplaySettings: lambda step: max(step.settings.budgets) * speeds.dimensions * _FLOAT,
    }
    kept = sum(each[type(step.settings)](step) for step in plan.steps if type(step.settings) in each)
    trained = [work for work in (work_of(step, 0) for step in plan.steps) if work.steps and work.training]
    # Each checkpoint lies in its step's directory and beside the results.
    return kept + sum(2 * _weights(work.training, speeds.image_shape) for work in trained if work.training)


def _weights(training: TrainingSettings, image_shape: tuple[int, int, int]) -> float:
    """Return the bytes of the weights of G and D; 0 if the architecture cannot make such images."""
    try:
        with torch.device("meta"):
            networks = build_networks(training.architecture, image_shape)
    except SpecError:  # the check names it
        return 0.0
    every = nn.ModuleList(networks.named().values())
    return _FLOAT * sum(weight.numel() for weight in every.parameters())
