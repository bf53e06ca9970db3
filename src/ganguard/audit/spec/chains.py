"""Chains of defences, and entries of a spec that list several values of a setting."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from math import prod
from typing import Annotated, Any, cast

from pydantic import BeforeValidator, PlainSerializer

from ganguard.base.cache import canonical_json
from ganguard.base.errors import SpecError
from ganguard.defences.input_semantic_interpolation import SemanticInterpolation
from ganguard.defences.misleading import MisleadingNoise
from ganguard.defences.protocol import Defence, chain_label, parse_chain
from ganguard.metrics.features.network import parse_features, pinned

Chain = tuple[Defence, ...]
MOST_SWEPT = 1000  # defences, adversaries or attacks that one entry of a spec stands for


def _dumped(chains: tuple[Chain, ...]) -> list[Any]:
    """Return chains as a spec lists them: each is "none", or a list of settings."""
    return [[defence.model_dump(mode="json") for defence in chain] or "none" for chain in chains]


def settled(chain: Chain) -> Chain:
    """Return a chain whose feature networks are pinned to the SHA-256 of the files that they are read from.

    Raises InputError if there is no such network, or if it must be trained first: nothing here trains it.
    """

    def settle(defence: Defence) -> Defence:
        if not isinstance(defence, MisleadingNoise):
            return defence
        network = pinned(parse_features(defence.network))
        if network.learns_labels:
            raise SpecError(
                f"{defence.kind}: network: {network.kind} must be trained first. "
                "Name one that needs no training."
            )
        return defence.model_copy(update={"network": network.model_dump(mode="json")})

    return tuple(map(settle, chain))


def _chains(value: object) -> tuple[Chain, ...]:
    """Return the chains of a spec.

    "none" is always first, whether or not the spec lists it: every defence is compared with it.
    """
    if not isinstance(value, list | tuple) or not value:
        raise SpecError("defences must be a list with at least one defence.")
    entries = enumerate(cast(list[Any], value))
    items = [item for place, entry in entries for item in swept(entry, f"defences.{place}")]
    found: dict[str, Chain] = {"": ()}
    for number, item in enumerate(items):
        chain = settled(parse_chain(item))
        said = canonical_json([defence.model_dump(mode="json") for defence in chain]) if chain else ""
        if chain and said in found:
            raise SpecError(f"defences.{number}: {chain_label(chain)} is listed twice. Remove one.")
        found[said] = chain
    return tuple(found.values())


def swept(entry: object, where: str, which: Sequence[str] | None = None) -> list[Any]:
    """Return an entry for each combination of the values that an entry of a spec lists.

    Args:
        entry: one entry of a spec's attacks, defences or adversaries.
        where: the entry's place in the spec, for messages.
        which: the keys whose values may be lists; None allows all.

    Raises SpecError if there are more than MOST_SWEPT combinations.
    """
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
    """Return the chain that an adversary believes in. Raises ValueError if it has no defence."""
    chain = settled(parse_chain(value))
    if not chain:
        raise ValueError(
            'must be "same" or at least one defence; an adversary that believes in none is naive'
        )
    return chain


def attributes(chains: Iterable[Chain]) -> list[str]:
    """Return the attributes that directions are fitted to, for defences that move codes along them."""
    semantic = (d for chain in chains for d in chain if isinstance(d, SemanticInterpolation))
    return list(dict.fromkeys(d.attribute for d in semantic if d.attribute is not None))


ChainsField = Annotated[tuple[Chain, ...], BeforeValidator(_chains), PlainSerializer(_dumped)]
