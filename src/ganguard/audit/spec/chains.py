"""Chains of defences, and lists of values in one entry of a spec."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from math import prod
from typing import Annotated, Any, cast

from pydantic import BeforeValidator, PlainSerializer

from ganguard.base.cache import canonical_json
from ganguard.base.errors import SpecError
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


def guessed_chain(value: object) -> Chain:
    """The chain of a guess. Raises ValueError where it has no defence."""
    chain = settled(parse_chain(value))
    if not chain:
        raise ValueError('must be "same" or at least one defence: who believes in none is naive')
    return chain


def attributes(chains: Iterable[Chain]) -> list[str]:
    """What directions are to be fitted to, since semantic interpolation along them is among the defences."""
    semantic = (d for chain in chains for d in chain if isinstance(d, SemanticInterpolation))
    return list(dict.fromkeys(d.attribute for d in semantic if d.attribute is not None))


ChainsField = Annotated[tuple[tuple[Any, ...], ...], BeforeValidator(_chains), PlainSerializer(_dumped)]
