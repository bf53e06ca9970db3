"""How a purchase is refined: the paper's algorithm to the letter, or ours."""

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal, cast

from pydantic import AfterValidator, Field, model_validator
from torch import Tensor

from ganguard.attacks.subsampling.crossed import FEWEST_KEPT
from ganguard.attacks.subsampling.density_ratio import FEWEST, reads_of
from ganguard.attacks.subsampling.metropolis_hastings import NeverMoved
from ganguard.base.errors import SpecError
from ganguard.base.settings import Positive, Sparse

PLAIN = "logistic"  # the ratio of Algorithm 1
FEWEST_JUDGED = 2  # images that a judge's distance needs
MakesJudges = Callable[[Tensor], Callable[[Tensor], float]]
TO_THE_LETTER: dict[str, Any] = {
    "ratio": PLAIN,
    "proposals": "stream",
    "never_moved": "discard",
    "powers": [1.0],
    "fitting": "split",
}
"""What Algorithm 1 of Hu & Pang (2021) decides, beside what the ratio is fitted to and where chains begin."""


def _known_ratio(kind: str) -> str:
    reads_of(kind)
    return kind


class Refining(Sparse):
    """How a purchase is refined.

    Attributes:
        algorithm: "tempered" is ours: a part of X_r fits each ratio, chains begin at the rest of it and walk
            in a pool, and a judge chooses the power. "paper" is Algorithm 1 to the letter: C is fitted to all
            of X_r and as many fresh images, chains begin at any of X_r, every proposal is a fresh query, the
            power is 1, and chains that never moved are discarded. It needs count, and decides all but steps.
        ratio: name of the density ratio.
        steps: K, proposals for each chain.
        proposals: "pool" lets chains walk among all bought images. "stream" offers each image once, so that
            each chain takes K queries.
        count: N, images to keep; None keeps as many as were bought. A stream requires a number.
        never_moved: what happens to a chain that never left its real image. None means "discard" in a pool,
            and "restart" in a stream, which has no further chains to run.
        powers: powers of the ratio, in [0, 1], among which the judge chooses.
        judged: images of each refined set that the judge sees; with "crossed", of each fold's.
        fitting: "crossed" fits a ratio without each fold of X_r and of a pool in turn, and that fold's real
            images judge what the ratio keeps of the fold's bought ones. The judge's network is one for all
            folds: a classifier of X_r's classes has seen them all. "split" fits the ratio to one half of the
            images, and a judge of other real images chooses: the default of a stream, which has no folds, and
            of a count too small for two folds.
    """

    unsaid: ClassVar[frozenset[str]] = frozenset({"algorithm"})
    algorithm: Literal["tempered", "paper"] = "tempered"
    ratio: Annotated[str, AfterValidator(_known_ratio)] = "feature_head"
    steps: Positive = 640
    proposals: Literal["pool", "stream"] = "pool"
    count: Annotated[int, Field(ge=FEWEST_JUDGED)] | None = None
    never_moved: NeverMoved | None = None
    powers: Annotated[tuple[Annotated[float, Field(ge=0, le=1)], ...], Field(min_length=1)] = (
        0.0,
        0.25,
        0.5,
        0.75,
        1.0,
    )
    judged: Annotated[int, Field(ge=FEWEST_JUDGED)] = 2000
    fitting: Literal["split", "crossed"] = "crossed"

    @model_validator(mode="before")
    @classmethod
    def _split_without_folds(cls, values: Any) -> Any:
        """Fill in "split" where nothing else can be."""
        if not isinstance(values, dict):
            return values
        given = cast(dict[str, Any], values)
        kept = given.get("count")
        no_folds = given.get("proposals") == "stream" or (isinstance(kept, int) and kept < FEWEST_KEPT)
        return {"fitting": "split", **given} if no_folds else given

    @model_validator(mode="before")
    @classmethod
    def _to_the_letter(cls, values: Any) -> Any:
        """Fill in what the paper's algorithm decides. Raises ValueError if something else is wanted."""
        if not isinstance(values, dict) or cast(dict[str, Any], values).get("algorithm") != "paper":
            return values
        given = cast(dict[str, Any], values)
        for name, decided in TO_THE_LETTER.items():
            wanted = given.get(name, decided)
            if (list(wanted) if isinstance(wanted, list | tuple) else wanted) != decided:
                raise ValueError(f"algorithm: paper has {name}: {decided}. Leave {name} out")
        return {**given, **TO_THE_LETTER}

    @model_validator(mode="after")
    def _counted(self) -> "Refining":
        if self.proposals == "stream" and self.count is None:
            raise ValueError("proposals: stream needs count, the number of images to keep")
        if self.fitting == "crossed" and self.proposals == "stream":
            raise ValueError("fitting: crossed refines a pool; set proposals to pool, or fitting to split")
        if self.fitting == "crossed" and self.count is not None and self.count < FEWEST_KEPT:
            raise ValueError(f"fitting: crossed needs a count of at least {FEWEST_KEPT}; got {self.count}")
        return self

    def require_budget(self, bought: int, own: int) -> None:
        """Raise SpecError if `bought` images are too few to refine.

        A pool needs as many as are kept. A stream needs `own` to fit the density ratio to, one for each real
        image, and K more for each image kept.
        """
        count = self.count or 0
        if self.proposals == "stream":
            needed = own + self.steps * count
            why = (
                f"{count:,} images of {self.steps:,} proposals each, after {own:,} images that the ratio is "
                "fitted to"
            )
        elif count >= FEWEST:
            needed, why = count, f"refining.count, {count:,}"
        else:
            needed, why = FEWEST, "a density ratio"
        if bought < needed:
            raise SpecError(f"query_budget must be at least {needed:,} for {why}; got {bought:,}.")

    def require_judges(self, judge_against: MakesJudges | None) -> None:
        """Raise SpecError if cross-fitting lacks the maker of its judges."""
        if self.fitting == "crossed" and judge_against is None:
            raise SpecError(
                "refining.fitting: crossed needs a maker of judges, from real images to a judge; this "
                "adversary has none. Set fitting to split."
            )
