"""Scenarios: which chain of defences stands before the target, and which adversary faces it."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from ganguard.audit.spec.adversaries import Adversary, Averaging, adversary_labels
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
    """

    defence: str | None = None
    who: str | None = None
    chain: Chain = ()
    adversary: Adversary | None = None

    @property
    def believed(self) -> Chain:
        """The defences that the adversary puts into its training."""
        return self.adversary.believes(self.chain) if self.adversary else ()

    @property
    def averaging(self) -> Averaging | None:
        """The adversary, if it makes each image from several queries."""
        return self.adversary if isinstance(self.adversary, Averaging) else None

    @property
    def price(self) -> int:
        """Number of queries that an image to train on costs."""
        return self.averaging.copies if self.averaging else 1

    @property
    def bought(self) -> "Scenario":
        """The part that a purchase depends on. Adversaries that ask alike share their purchase."""
        return self if self.averaging else Scenario(self.defence, None, self.chain)

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
    """Return every chain with every adversary, the undefended target first."""
    who = list(zip(adversary_labels(adversaries), adversaries, strict=True))
    behind = defended(chains)
    faced = product(behind, who)
    return [UNDEFENDED] + [Scenario(s.defence, label, s.chain, adversary) for s, (label, adversary) in faced]
