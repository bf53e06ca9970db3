"""What each account is offered: the target behind the defences of its class, and what images depend on."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass

from ganguard.base.cache import canonical_json
from ganguard.defences.defended_target import DefendedTarget, defend
from ganguard.defences.tools import tools_for
from ganguard.gateway.shop.provenance import Provenance, digest, machine_and_software
from ganguard.gateway.spec import DEFAULT_CLASS, GatewaySpec
from ganguard.targets.batching_target import BatchingTarget

MOST = 1000  # offers that are kept ready, one for each account
# Names of ours in place of an account's: no account's name holds this character.
OPERATOR, _REHEARSAL = "\x1foperator", "\x1frehearsal"


@dataclass(frozen=True)
class Offer:
    """What an account is offered.

    Attributes:
        target: the target behind the defences of its class.
        provenance: what the bytes of its images depend on.
        budgets: images of a condition that it may buy in all, by the condition's name.
    """

    target: DefendedTarget
    provenance: Provenance
    budgets: Mapping[str, int]


class Offers:
    """Offers to accounts by name and class.

    Args:
        spec: the gateway's spec.
        batching: the queue before the target.
        secret: the secret of the defences' random numbers.
    """

    def __init__(self, spec: GatewaySpec, batching: BatchingTarget, secret: bytes) -> None:
        self._spec, self._batching, self._secret = spec, batching, secret
        self._tools = tools_for(batching.inner.image_shape[0], spec.compute)
        self._machine, self._software = machine_and_software(spec.compute)
        self._lock, self._found = threading.Lock(), dict[tuple[str, str], Offer]()

    def to(self, account: str, class_: str) -> Offer:
        """Return what an account of a class is offered. Raises SpecError if there is no such class."""
        with self._lock:
            if (account, class_) not in self._found:
                if len(self._found) >= MOST:
                    self._found.clear()
                self._found[account, class_] = self._made(account, class_)
            return self._found[account, class_]

    def rehearse(self) -> None:
        """Check that the defences of every class fit the target. Raises InputError if they do not."""
        for class_ in {DEFAULT_CLASS, *self._spec.classes}:
            self._made(_REHEARSAL, class_).target.rehearse()

    def _made(self, account: str, class_: str) -> Offer:
        of, inner = self._spec.class_of(class_), self._batching.of(account)
        target = defend(inner, of.defences, secret=self._secret, client=account, tools=self._tools)
        provenance = Provenance(
            machine=self._machine,
            software=self._software,
            target=digest(inner.identity),
            defences=digest(canonical_json([defence.said() for defence in of.defences])),
            served=digest(target.identity),
            class_=class_,
        )
        return Offer(target, provenance, of.budgets)
