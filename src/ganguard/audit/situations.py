"""What an attack meets: a chain of defences, and an adversary who does not know of it, or does."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Annotated, Any, Literal, cast

from pydantic import BeforeValidator, Field, PlainSerializer, SerializeAsAny

from ganguard.base.cache import canonical_json
from ganguard.base.errors import SpecError, unknown_name
from ganguard.base.settings import Float, Positive, Settings, parse
from ganguard.defences.input_semantic_interpolation import SemanticInterpolation
from ganguard.defences.output_adversarial_noise import AdversarialNoise
from ganguard.defences.protocol import Defence, chain_label, parse_chain
from ganguard.metrics.features.network import parse_features, pinned

Chain = tuple[Defence, ...]
MOST_SWEPT = 1000  # defences, adversaries or attacks that one entry of a spec stands for


def _dumped(chains: tuple[Chain, ...]) -> list[Any]:
    """As a spec says it: "none", or a list of settings."""
    return [[defence.model_dump(mode="json") for defence in chain] or "none" for chain in chains]


def settled(chain: Chain) -> Chain:
    """The chain, with the files that its feature networks are read from pinned by their SHA-256. Raises
    InputError where there is no such network, or it learns from labels, which nobody teaches it here."""

    def settle(defence: Defence) -> Defence:
        if not isinstance(defence, AdversarialNoise):
            return defence
        network = pinned(parse_features(defence.network))
        if network.learns_labels:
            raise SpecError(
                f"adversarial_noise: network: {network.kind} must be trained first. Name one that needs no "
                "training."
            )
        return defence.model_copy(update={"network": network.model_dump(mode="json")})

    return tuple(map(settle, chain))


def _chains(value: object) -> tuple[Chain, ...]:
    """The chains of a spec, "none" first whether it says so or not: every defence is judged beside it."""
    if not isinstance(value, list | tuple) or not value:
        raise SpecError("defences must be a list with at least one defence.")
    listed = cast(list[Any], value)
    found: dict[str, Chain] = {"": ()}
    for number, item in enumerate(
        one for i, entry in enumerate(listed) for one in swept(entry, f"defences.{i}")
    ):
        chain = settled(parse_chain(item))
        said = canonical_json([defence.model_dump(mode="json") for defence in chain]) if chain else ""
        if chain and said in found:
            raise SpecError(f"defences.{number}: {chain_label(chain)} stands twice. Leave one out.")
        found[said] = chain
    return tuple(found.values())


def swept(entry: object, where: str, which: Sequence[str] | None = None) -> list[Any]:
    """One entry for each combination of values, where a list stands for one of a single defence, adversary or
    attack. which: keys where it may; everywhere, unless they are named. Raises SpecError, which names the
    entry as `where`, for more than MOST_SWEPT combinations."""
    if not isinstance(entry, Mapping):
        return [entry]
    values = cast(Mapping[str, Any], entry)
    may = values.keys() if which is None else which
    lists = {
        key: cast(list[Any], value)
        for key, value in values.items()
        if key in may and isinstance(value, list) and value
    }
    if (count := prod(map(len, lists.values()))) > MOST_SWEPT:
        raise SpecError(
            f"{where}: its lists make {count:,} combinations; at most {MOST_SWEPT:,} are taken. Shorten them."
        )
    return [{**values, **dict(zip(lists, chosen, strict=True))} for chosen in product(*lists.values())]


def _guessed(value: object) -> Chain:
    """The chain of a guess. Raises ValueError where it has no defence."""
    chain = settled(parse_chain(value))
    if not chain:
        raise ValueError('must be "same" or at least one defence: who believes in none is naive')
    return chain


def attributes(chains: Iterable[Chain]) -> list[str]:
    """What directions are to be fitted to, since semantic interpolation along them is among the defences."""
    semantic = (d for chain in chains for d in chain if isinstance(d, SemanticInterpolation))
    return list(dict.fromkeys(d.attribute for d in semantic if d.attribute is not None))


class Naive(Settings):
    """Trains on what comes back, as if nothing stood between."""

    kind: Literal["naive"] = "naive"

    def label(self) -> str:
        """What it is called in results and reports."""
        return "naive"

    def believes(self, chain: Chain) -> Chain:
        """What it takes the defence to be."""
        return ()


class ThroughDefence(Settings):
    """Knows which defence there is, and puts its guess of it into its own training.

    guess: "same", or the defences that it believes in. scale: times the strength that it takes them to have.
    """

    kind: Literal["through_defence"] = "through_defence"
    guess: Annotated[
        SerializeAsAny[Literal["same"] | tuple[SerializeAsAny[Defence], ...]],
        BeforeValidator(lambda value: value if value == "same" else _guessed(value)),
    ] = "same"
    scale: Annotated[Float, Field(gt=0, le=100)] = 1.0

    def label(self) -> str:
        """What it is called: what it believes, and the strength."""
        through = "it" if self.guess == "same" else chain_label(self.guess)
        return f"through {through}" + ("" if self.scale == 1 else f", guessed {self.scale:g} times as strong")

    def believes(self, chain: Chain) -> Chain:
        """What it takes the defence to be."""
        guessed = chain if self.guess == "same" else self.guess
        return tuple(defence.scaled(self.scale) for defence in guessed)


class Averaging(Settings):
    """Asks for each image several times, where it may send codes, and trains on the means. It pays for all of
    them, so that its budget buys fewer.

    copies: how often. moved: how far the codes of one image differ, in standard deviations of a prior N(0,
    I); 0: not at all.
    """

    kind: Literal["averaging"] = "averaging"
    copies: Annotated[Positive, Field(ge=2, le=10_000)] = 8
    moved: Annotated[Float, Field(ge=0, le=10)] = 0.05

    def label(self) -> str:
        """What it is called in results and reports."""
        return f"averaging {self.copies}" + (f", codes moved by {self.moved:g}" if self.moved else "")

    def believes(self, chain: Chain) -> Chain:
        """What it takes the defence to be, once it has averaged."""
        return ()


Adversary = Naive | ThroughDefence | Averaging
_NAIVE = Naive()
ADVERSARIES: dict[str, type[Adversary]] = {
    "naive": Naive,
    "through_defence": ThroughDefence,
    "averaging": Averaging,
}
_SWEPT = ("scale", "copies", "moved")  # settings of an adversary that may be lists of values


def _adversaries(value: object) -> tuple[Adversary, ...]:
    if not isinstance(value, list | tuple) or not value:
        raise SpecError("adversaries must be a list with at least one adversary.")
    found: list[Adversary] = []
    for number, item in enumerate(cast(list[Any], value)):
        if isinstance(item, Adversary):
            found.append(item)
            continue
        values = cast(Mapping[str, Any], item) if isinstance(item, Mapping) else {"kind": item}
        kind = values.get("kind")
        if not isinstance(kind, str) or kind not in ADVERSARIES:
            raise SpecError(f"adversaries.{number}: {unknown_name('adversary', kind, list(ADVERSARIES))}")
        for said in swept(values, f"adversaries.{number}", _SWEPT):
            adversary = parse(ADVERSARIES[kind], said, f"adversaries.{number}")
            alike = [other for other in found if other.label() == adversary.label()]
            if adversary in alike or (
                alike and isinstance(adversary, Averaging)
            ):  # whose account is named by its label
                raise SpecError(f"adversaries.{number}: {adversary.label()} stands twice. Leave one out.")
            found.append(adversary)
    return tuple(found)


def _numbers(labels: Sequence[str]) -> list[int]:
    """Of each label, the how manieth it is of those that read the same."""
    return [labels[: i + 1].count(label) for i, label in enumerate(labels)]


def _numbered(label: str, number: int) -> str:
    return label if number == 1 else f"{label} #{number}"


def adversary_labels(adversaries: Sequence[Adversary]) -> tuple[str, ...]:
    """What they are called in results and reports; two that call themselves the same are numbered."""
    called = [adversary.label() for adversary in adversaries]
    return tuple(map(_numbered, called, _numbers(called)))


ChainsField = Annotated[tuple[tuple[Any, ...], ...], BeforeValidator(_chains), PlainSerializer(_dumped)]
AdversariesField = Annotated[tuple[SerializeAsAny[Adversary], ...], BeforeValidator(_adversaries)]


@dataclass(frozen=True)
class Situation:
    """A chain of defences, none or more, and who stands before it. numbers: of the chain, and of the
    adversary, among those of the spec that call themselves the same."""

    chain: Chain = ()
    adversary: Adversary = _NAIVE
    numbers: tuple[int, int] = (1, 1)

    @property
    def defence(self) -> str | None:
        """The chain's label; None without a defence."""
        return _numbered(chain_label(self.chain), self.numbers[0]) if self.chain else None

    @property
    def who(self) -> str:
        """The adversary's label."""
        return _numbered(self.adversary.label(), self.numbers[1])

    @property
    def believed(self) -> Chain:
        """What the adversary puts into its training."""
        return self.adversary.believes(self.chain)

    @property
    def averaging(self) -> Averaging | None:
        """How images are bought, if several make one."""
        return self.adversary if self.chain and isinstance(self.adversary, Averaging) else None

    @property
    def price(self) -> int:
        """Queries that an image to train on costs."""
        return self.averaging.copies if self.averaging else 1

    @property
    def bought(self) -> "Situation":
        """The situation as far as a purchase depends on it: adversaries who ask alike share what they buy."""
        return self if self.averaging else Situation(self.chain, numbers=(self.numbers[0], 1))

    @property
    def behind(self) -> str:
        """The end of the name of a step that depends on the defence alone."""
        return f" behind {self.defence}" if self.chain else ""

    @property
    def suffix(self) -> str:
        """The end of the name of a step that depends on both."""
        return f"{self.behind}, {self.who}" if self.chain else ""

    @property
    def purchase_suffix(self) -> str:
        """The end of the name of a step that depends on what is bought."""
        return self.suffix if self.averaging else self.behind

    def whose(self) -> dict[str, str | None]:
        """The fields of a record that say which situation it is of."""
        return {"defence": self.defence, "adversary": self.who if self.chain else None}


def defended(chains: tuple[Chain, ...]) -> list[Situation]:
    """Every chain but the empty one, whoever stands before it."""
    numbers = _numbers(list(map(chain_label, chains)))
    return [
        Situation(chain, numbers=(number, 1)) for chain, number in zip(chains, numbers, strict=True) if chain
    ]


def situations(chains: tuple[Chain, ...], adversaries: tuple[Adversary, ...]) -> list[Situation]:
    """Every chain with every adversary; without a defence all adversaries are one."""
    who = list(zip(adversaries, _numbers([adversary.label() for adversary in adversaries]), strict=True))
    behind = defended(chains)
    return [Situation()] + [
        Situation(s.chain, adversary, (s.numbers[0], number)) for s in behind for adversary, number in who
    ]
