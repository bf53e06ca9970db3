"""Scenarios: which chain of defences stands before the target, and which adversary faces it."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from ganguard.audit.spec.adversaries import adversary_labels
from ganguard.audit.spec.adversary import Adversary, Asking, Rework
from ganguard.audit.spec.chains import Chain
from ganguard.audit.spec.labels import numbered
from ganguard.defences.protocol import chain_label


@dataclass(frozen=True)
class Scenario:
    """The defences that an attack meets, and the adversary that runs it.

    Attributes:
        defence: label of the chain, unique in its spec; None without a defence.
        who: label of the adversary, unique in its spec; None without a defence, since all adversaries are
            then the same.
        chain: the defences, one after the other.
        adversary: the adversary, or None if it does not matter who attacks.
        buyer: label of the first adversary that asks like this one, if it asks for codes several times.
            Adversaries that ask alike share their purchase.
    """

    defence: str | None = None
    who: str | None = None
    chain: Chain = ()
    adversary: Adversary | None = None
    buyer: str | None = None

    @property
    def believed(self) -> Chain:
        """The defences that the adversary puts into its training."""
        return self.adversary.believes(self.chain) if self.adversary else ()

    @property
    def asking(self) -> Asking | None:
        """How the adversary asks for codes several times, if it does."""
        return self.adversary.asking() if self.adversary else None

    @property
    def rework(self) -> Rework | None:
        """What the adversary does with its purchase before it trains, if anything."""
        return self.adversary.rework(self.chain) if self.adversary else None

    @property
    def price(self) -> int:
        """Number of queries that an image to train on costs."""
        return self.asking.price if self.asking else 1

    @property
    def bought(self) -> "Scenario":
        """The part that a purchase depends on. Adversaries that ask alike share their purchase."""
        adversary = self.adversary if self.asking else None
        return Scenario(self.defence, self.buyer, self.chain, adversary, self.buyer)

    def __str__(self) -> str:
        """Return the end of a step's name: the defence, and the adversary."""
        behind = f" behind {self.defence}" if self.defence else ""
        return behind + (f", {self.who}" if self.who else "")


UNDEFENDED = Scenario()


def defended(chains: Sequence[Chain]) -> list[Scenario]:
    """Return a scenario of every chain but the empty one, whoever attacks."""
    labels = numbered([chain_label(chain) for chain in chains])
    return [Scenario(label, None, chain) for label, chain in zip(labels, chains, strict=True) if chain]


def scenarios(chains: Sequence[Chain], adversaries: Sequence[Adversary]) -> list[Scenario]:
    """Return every chain with every adversary that does not skip it, the undefended target first."""
    labels = adversary_labels(adversaries)
    buyers: dict[Asking, str] = {}
    for label, adversary in zip(labels, adversaries, strict=True):
        if asking := adversary.asking():
            buyers.setdefault(asking, label)
    who = [
        (label, adversary, buyers.get(asking) if (asking := adversary.asking()) else None)
        for label, adversary in zip(labels, adversaries, strict=True)
    ]
    faced = [
        Scenario(behind.defence, label, behind.chain, adversary, buyer)
        for behind, (label, adversary, buyer) in product(defended(chains), who)
        if not (adversary.skips and adversary.misfit(behind.chain))
    ]
    return [UNDEFENDED, *faced]
