"""How a target is asked: which condition image i gets, as a pure function of seed and index, and by which law
codes are drawn that a client sends."""

import math
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Annotated, Any, ClassVar, Literal, cast

import torch
from pydantic import BeforeValidator, Field, ValidationError, field_validator, model_validator
from torch import Tensor

from ganguard.base.cache import content_key
from ganguard.base.errors import SpecError, TargetError
from ganguard.base.seeds import uniform
from ganguard.base.settings import Float, Name, Positive, Sparse, explain, one_line, shortened
from ganguard.targets.conditions import Conditions, as_name, conditions_of, require_conditions
from ganguard.targets.prior import KnownPrior, PriorSettings

ADD_UP = 1e-6  # how far proportions may be from 1 in all
Share = Annotated[Float, Field(ge=0, le=1)]
Choice = Literal["coreset", "uncertainty", "conditions"]
CHOICES: Mapping[Choice, str] = {
    "coreset": "by a coreset of codes",
    "uncertainty": "by the disagreement of students",
    "conditions": "by the conditions covered worst",
}
"""What can be chosen, in words."""
WORDS = ("uniform", "spread", *CHOICES)
"""The ways to ask that are one word."""


def _pairs(value: object) -> object:
    """Return the items of a mapping. Names that YAML reads as numbers are texts."""
    if not isinstance(value, Mapping):
        return value
    return tuple((as_name(name), share) for name, share in cast(Mapping[Any, Any], value).items())


def _texts(value: object) -> object:
    return tuple(map(as_name, cast(list[Any], value))) if isinstance(value, list | tuple) else value


class Ask(Sparse):
    """Which conditions are asked for, and how often. Without any, all of them equally often. And which codes
    are sent, if not those of the target's own prior.

    In which order they are named does not matter: they are kept in the order of their names, so that the same
    conditions are the same way to ask.

    Attributes:
        only: the names of some conditions, which are asked for equally often.
        proportions: the share of each condition that is asked for; they add up to 1.
        judge: "spread" asks for all conditions equally often at first, and then more often for those whose
            images differ most among themselves.
        choose: what is chosen in rounds, from what was bought in those before: "coreset" asks for the codes
            whose images are expected to cover the target's best, "uncertainty" for those of which is known
            least, "conditions" more often for the conditions that are covered worst.
        pilot: images that such a judge sees first, or that are bought before anything is chosen.
        prior: the law of the codes that a client sends; None sends codes of the target's own prior.
    """

    unsaid: ClassVar[frozenset[str]] = frozenset({"only", "proportions", "judge", "choose", "prior"})
    only: Annotated[tuple[Name, ...] | None, BeforeValidator(_texts)] = None
    proportions: Annotated[tuple[tuple[Name, Share], ...] | None, BeforeValidator(_pairs)] = None
    judge: Literal["spread"] | None = None
    choose: Choice | None = None
    pilot: Positive = 200
    prior: KnownPrior | None = None

    @field_validator("only")
    @classmethod
    def _some(cls, only: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if only is not None and (not only or len(set(only)) < len(only)):
            raise ValueError("must list one or more conditions, each once")
        return None if only is None else tuple(sorted(only))

    @field_validator("proportions")
    @classmethod
    def _whole(
        cls, proportions: tuple[tuple[str, float], ...] | None
    ) -> tuple[tuple[str, float], ...] | None:
        if proportions is None:
            return None
        if len(dict(proportions)) < len(proportions):
            raise ValueError("must name each condition once")
        if abs((total := math.fsum(share for _, share in proportions)) - 1) > ADD_UP:
            raise ValueError(f"must add up to 1; they add up to {total:.6g}")
        return tuple(sorted(proportions))

    @model_validator(mode="after")
    def _one_of_both(self) -> "Ask":
        if sum(way is not None for way in (self.only, self.proportions, self.judge, self.choose)) > 1:
            raise ValueError("takes one of `only`, `proportions`, `judge` and `choose`")
        if "pilot" in self.model_fields_set and not self.learns:
            raise ValueError("pilot has nothing to act on without `judge` or `choose`. Leave it out")
        return self

    def left_out(self) -> set[str]:
        """Return the ways that are not taken; if nothing is learnt, there is no pilot either."""
        return super().left_out() | (set[str]() if self.learns else {"pilot"})

    @property
    def learns(self) -> bool:
        """Whether what is asked for depends on what was bought before."""
        return self.judge is not None or self.choose is not None

    @property
    def chooses_codes(self) -> bool:
        """Whether codes are chosen, and not only drawn."""
        return self.choose is not None and self.choose != "conditions"

    @property
    def is_uniform(self) -> bool:
        """Whether all conditions are asked for equally often, with codes of the target's own prior."""
        return self.names_none and not self.sends_codes

    @property
    def names_none(self) -> bool:
        """Whether all conditions are asked for equally often, whatever codes are sent."""
        ways = (self.only, self.proportions, self.judge)
        return all(way is None for way in ways) and self.choose != "conditions"

    @property
    def sends_codes(self) -> bool:
        """Whether only a client that sends codes can ask so."""
        return self.prior is not None or self.chooses_codes

    def field_of_codes(self) -> str:
        """Return the name of the field that says which codes are sent; "" if none does."""
        return "prior" if self.prior is not None else "choose" if self.chooses_codes else ""

    def label(self) -> str:
        """Return how it is called in print."""
        said = [] if self.names_none and self.sends_codes else [self._conditions_label()]
        if self.prior is not None:
            said.append(f"with {prior_label(self.prior)} codes")
        if self.choose is not None and self.chooses_codes:
            said.append(f"{CHOICES[self.choose]} after the first {self.pilot:,}")
        return ", ".join(said)

    def _conditions_label(self) -> str:
        """Return how conditions are asked for, in print."""
        if self.only is not None:
            shown = ", ".join(self.only[:3]) + (", …" if len(self.only) > 3 else "")
            return f"only {shown}"
        if self.judge is not None:
            return f"by the {self.judge} of the first {self.pilot:,}"
        if self.choose is not None:
            return f"{CHOICES[self.choose]} after the first {self.pilot:,}"
        return "in proportions" if self.proportions is not None else "uniformly"

    def digest(self) -> str:
        """Return a text of 8 hexadecimal digits that is another one for another way to ask."""
        return content_key(ask=self.model_dump(mode="json"))[:8]

    def shares(self, conditions: Conditions) -> Tensor:
        """Return the share of each condition, (K,) float64. Raises SpecError if one that it names is
        unknown."""
        found = torch.zeros(len(conditions), dtype=torch.float64)
        if self.proportions is not None:
            names, shares = zip(*self.proportions, strict=True)
            found[conditions.numbers(names)] = torch.tensor(shares, dtype=torch.float64)
        else:
            found[conditions.numbers(self.only) if self.only is not None else slice(None)] = 1
        return found / found.sum()

    def names(self, conditions: Conditions) -> tuple[str, ...]:
        """Return the conditions that are asked for at all. Raises SpecError if one that it names is
        unknown."""
        shares = self.shares(conditions).tolist()
        return tuple(name for name, share in zip(conditions.names, shares, strict=True) if share > 0)

    def require_beyond_pilot(self, images: int, budget: int) -> None:
        """Raise ValueError if no image is bought beyond the pilot, so that all are asked for as usual.

        images: what a query budget of `budget` pays for; 0 if nothing is bought.
        """
        if self.learns and 0 < images <= self.pilot:
            field, how = ("judge", self.judge) if self.judge else ("choose", self.choose)
            usual = "with codes at random" if self.chooses_codes else "uniformly"
            raise ValueError(
                f"ask: {how} asks {usual} for its first {self.pilot:,} images, and query_budget of "
                f"{budget:,} pays for {images:,}. Raise it, or set ask: {{{field}: {how}, pilot: "
                f"{max(1, images // 2)}}}"
            )

    def draw(
        self, conditions: Conditions, indices: range, *, seed: int, shares: Tensor | None = None
    ) -> Tensor:
        """Return the condition of each image, (len(indices),) int64.

        The condition of image i is a pure function of (seed, i) and of the shares; of images that were bought
        before, it is the one that they were bought for.

        shares: what a judge said, (K,); None takes what is asked for without it.
        """
        if conditions.given is not None:
            return _given(conditions.given, indices)
        if (several := conditions.together) > 1:
            first = indices.start // several
            alone = conditions.model_copy(update={"together": 1})
            drawn = self.draw(alone, range(first, -(-indices.stop // several)), seed=seed, shares=shares)
            return drawn.repeat_interleave(several)[indices.start - first * several :][: len(indices)]
        if self.names_none and conditions.in_turn and shares is None:
            return torch.arange(indices.start, indices.stop) % len(conditions)
        ends = (self.shares(conditions) if shares is None else shares).cumsum(0)
        last = int(ends.argmax())  # the last condition with a share: rounding must not go past it
        places = torch.from_numpy(uniform(seed, "conditions", indices, 1)[:, 0])
        return torch.searchsorted(ends, places, right=True).clamp(max=last)


def _given(given: tuple[int, ...], indices: range) -> Tensor:
    """Return the conditions of images that were bought before. Raises TargetError if there are fewer."""
    if indices.stop > len(given):
        raise TargetError(
            f"{len(given):,} images were bought before; {indices.stop:,} are wanted, and none can be had "
            "twice."
        )
    return torch.tensor(given[indices.start : indices.stop], dtype=torch.int64)


UNIFORM = Ask()


def asked_for(ask: Ask) -> str:
    """Return the end of a name that says how a target is asked; "" if uniformly."""
    return "" if ask.is_uniform else f", asks {ask.label()} ({ask.digest()})"


def ask_of(value: object) -> Ask:
    """Return a way to ask, from one of WORDS, a list of names, or a mapping of names to shares.

    Raises ValueError if it is none of these.
    """
    if isinstance(value, Ask):
        return value
    if isinstance(value, str) and value in WORDS:
        field = {"uniform": {}, "spread": {"judge": value}}
        return Ask.model_validate(field.get(value, {"choose": value}))
    if isinstance(value, list | tuple):
        return Ask.model_validate({"only": value})
    if isinstance(value, Mapping):
        said = cast(Mapping[Any, Any], value)
        # A class may be called like a field, whose values are no numbers, but for a pilot beside others.
        shares = all(isinstance(share, int | float) for share in said.values())
        if not shares and any(map(_like_a_field, said)):
            return Ask.model_validate({str(name): each for name, each in said.items()})
        if said:
            return Ask.model_validate({"proportions": said})
    raise ValueError(
        f"must be {', '.join(WORDS)}, a list of conditions, or a mapping of conditions to shares; got "
        f"{shortened(value)}"
    )


def _like_a_field(name: object) -> bool:
    """Return whether a key is that of a field, or nearly."""
    return bool(get_close_matches(str(name).lower(), Ask.model_fields))


def parse_ask(value: object, where: str) -> Ask:
    """Return a way to ask, from what `ask_of` takes. Raises SpecError, in one line, if it is none."""
    try:
        return ask_of(value)
    except ValidationError as problem:
        raise SpecError(explain(problem, Ask, where)) from None
    except ValueError as problem:
        raise SpecError(f"{where}: {one_line(problem)}.") from None


def asked_of(
    target: object, ask: Ask | None, indices: range, *, seed: int, shares: Tensor | None = None
) -> Tensor | None:
    """Return the conditions that images are asked for with, (len(indices),); None if the target takes none.

    Args:
        target: the target.
        ask: None asks uniformly.
        indices: of the images.
        seed: of the purchase.
        shares: what the judge of `ask` said; None before it has.

    Raises TargetError if there is a way to ask and the target takes no conditions, SpecError if it names an
    unknown one.
    """
    if (conditions := conditions_of(target)) is None:
        require_askable(target, ask)
        return None
    return (ask or UNIFORM).draw(conditions, indices, seed=seed, shares=shares)


def given_or_drawn(target: object, conditions: Tensor | None, indices: range, *, seed: int) -> Tensor | None:
    """Return the conditions that a client gives, (len(indices),), or those that a target shows if it gives
    none; None if the target takes none.

    Raises TargetError if it gives some, and the target takes none or others.
    """
    if conditions is None:
        return asked_of(target, None, indices, seed=seed)
    require_conditions(conditions, conditions_of(target), len(indices))
    return conditions


def ask_to_store(target: object, ask: Ask | None) -> Ask | None:
    """Return how a purchase from a target was asked, for its store; None if the target takes no conditions,
    and none are asked for.

    ask: None asks uniformly.
    """
    asked = ask or UNIFORM
    return asked if conditions_of(target) is not None or not asked.is_uniform else None


def require_askable(target: object, ask: Ask | None) -> None:
    """Raise TargetError or SpecError, before anything is bought, if a target cannot be asked so."""
    conditions, asked = conditions_of(target), ask or UNIFORM
    if conditions is not None:
        asked.shares(conditions)
    require_suited(asked, conditional=conditions is not None)
    if conditions is not None and conditions.given is not None and not asked.is_uniform:
        raise TargetError(
            "ask names conditions, and these images were bought before, for conditions of their own. Leave "
            "`ask` out."
        )


def require_suited(ask: Ask, *, conditional: bool) -> None:
    """Raise TargetError if a target cannot be asked so, whatever the conditions are that it takes."""
    if conditional and ask.chooses_codes:
        raise TargetError(
            f"ask: {ask.choose} chooses codes, and an image of this target follows from a condition, too. "
            "Set ask: conditions."
        )
    if not conditional and not ask.names_none:
        raise TargetError(
            "ask names conditions, and this target takes none: no classes and no prompts. Leave `ask` out."
        )


def sends_codes(ask: Ask | None) -> bool:
    """Return whether only a client that sends codes can ask so."""
    return ask is not None and ask.sends_codes


def prior_label(prior: PriorSettings) -> str:
    """Return how a law of codes is called in print: its name, and the settings that are not usual."""
    said = prior.model_dump(mode="json", exclude={"kind"}, exclude_defaults=True)
    settings = ", ".join(f"{name} {value:g}" for name, value in said.items())
    return f"{prior.kind} ({settings})" if settings else prior.kind
