"""Draw a few images of the target, and examine them beside real ones."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from ganguard.audit.check import looks
from ganguard.audit.check.by_class import few_of_a_class
from ganguard.audit.check.opening import Opened
from ganguard.audit.check.speeds import untrained
from ganguard.audit.plan.parts import Plan
from ganguard.audit.spec.spec import Spec
from ganguard.audit.steps.call import StepCall
from ganguard.audit.steps.purchase import auditor_account, buy_for_auditor
from ganguard.audit.steps.purchase_files import store_directory
from ganguard.audit.steps.real import Real
from ganguard.audit.steps.target_files import open_target
from ganguard.base.errors import MetricError
from ganguard.base.images import shape_of
from ganguard.base.progress import silent
from ganguard.base.seeds import derived_seed
from ganguard.comparison.embedding import Embedding, load_embedding
from ganguard.metrics.features.network import FeatureNetwork, FeatureSettings, parse_features
from ganguard.queries.repeated import said_of_repeated
from ganguard.queries.store import shards_of
from ganguard.targets.conditions import conditions_of
from ganguard.targets.protocol import BlackBoxTarget, notes_of


@dataclass
class Look:
    """A few images of the target beside real ones.

    Attributes:
        images: of the target, (n, C, H, W) uint8.
        real: real images, (m, C, H, W) uint8.
        bought: how many of `images` were bought: they are the first that the audit would buy.
        seconds: that one image took; None if all of them were bought before.
        pixels, real_pixels: ranges of both.
        impure: how images depend on how they are asked for; "" if they do not; None if that was not asked,
            because each question costs.
        nearness: how far they are from real ones; None if that could not be measured.
        asked: what the target can be asked for, and how the audit asks; "" if it takes no conditions.
    """

    images: Tensor
    real: Tensor
    bought: int
    seconds: float | None
    pixels: looks.Pixels
    real_pixels: looks.Pixels
    impure: str | None
    nearness: looks.Nearness | None = None
    asked: str = ""


def buys(spec: Spec, plan: Plan) -> bool:
    """Return whether the images of the target that the auditor draws from are bought."""
    return spec.remote() and plan.ground.measured_target is plan.ground.target


@dataclass
class Looking:
    """What is needed to look at a target.

    Attributes:
        spec, plan: of the audit.
        directory: where the audit works.
        opened: what opened; problems and remarks are added to it.
        real: the real images.
    """

    spec: Spec
    plan: Plan
    directory: Path
    opened: Opened
    real: Real

    def look(self, count: int, say: Callable[[str], None]) -> Look:
        """Draw `count` images of the target that the auditor draws from, and examine them.

        say: is told what is being done.
        """
        step = self.plan.ground.measured_target
        target, seed = self._open(), derived_seed(0, "auditor")
        self.opened.remarks += notes_of(target)
        ask = self.spec.asks(None)
        self.opened.remarks += few_of_a_class(conditions_of(target), ask, self.spec.samples)
        say(f"drawing {count:,} images")
        if buys(self.spec, self.plan):
            began, wanted = looks.now(), min(count, self.spec.samples)
            asked = wanted - self._held(target, wanted)
            images = self._buy(target, wanted)
            asked = min(asked, getattr(target, "sent", asked))  # an API's answers are kept elsewhere too
            bought, impure = len(images), None
            seconds = (looks.now() - began) / asked if asked else None
        else:
            images, seconds = looks.drawn(target, count, seed)
            bought, impure = 0, looks.impure(target, images, seed)
        if impure:
            self.opened.refuse(step.name, impure)
        if bought and (said := said_of_repeated(images)):
            self.opened.remarks.append(said)
        shown = looks.some(self.real.images, self.real.train, looks.SHOWN)
        own, theirs = looks.Pixels.of(images), looks.Pixels.of(shown)
        asks = looks.asks(target, ask)
        found = Look(images, shown, bought, seconds, own, theirs, impure, asked=asks)
        if remark := looks.narrow(own, theirs):
            self.opened.remarks.append(remark)
        if shape_of(images) == shape_of(self.real.images):
            self.opened.attempt("features", lambda: self._compare(found))
        return found

    def _open(self) -> BlackBoxTarget:
        step = self.plan.ground.measured_target
        return open_target(self.opened.done[step.name].directory, self.spec.compute)

    def _held(self, target: BlackBoxTarget, count: int) -> int:
        """Return how many of the images were bought before."""
        account = auditor_account(target.identity, 0, self.spec.asks(None))
        shards = shards_of(store_directory(self.directory, account))
        return min(count, sum(stop - start for start, stop, _ in shards))

    def _buy(self, target: BlackBoxTarget, count: int) -> Tensor:
        """Buy the first images of the auditor's first draw: the audit does not buy them again."""
        call = StepCall(None, None, self.directory, self.directory, self.spec.compute, silent)
        return buy_for_auditor(call, target, 0, count, self.spec.asks(None)).images

    def _compare(self, found: Look) -> None:
        """Measure how far the target's images are from real ones, beside noise."""
        real, compute = self.real, self.spec.compute
        rows = looks.some(real.images, real.train), looks.some(real.images, real.reference)
        try:
            found.nearness = looks.nearness(found.images, *rows, self._features(), compute)
        except MetricError as problem:
            said = f"how near the target is to real images was not measured: {problem}"
            self.opened.remarks.append(said)
            return
        if found.nearness.broken():
            self.opened.remarks.append(
                "the target is no nearer to real images than noise is: the audit would stop there. Check its "
                "weights, the range and order of its pixels, and that `real` holds images of its kind."
            )

    def _features(self) -> Embedding | tuple[str, FeatureNetwork]:
        """Return the audit's features if they are fitted; otherwise their network, or one in its place."""
        step = self.plan.ground.features.name
        if step in self.opened.done:
            return load_embedding(self.opened.done[step].directory, self.spec.compute)
        settings = _stand_in(self.spec.features)
        return settings.kind, untrained(settings, self.real.images.shape[1])


def _stand_in(features: FeatureSettings) -> FeatureSettings:
    """Return the settings of the network that a check looks through: one that need not be trained first."""
    return parse_features("random_network") if features.learns_labels else features
