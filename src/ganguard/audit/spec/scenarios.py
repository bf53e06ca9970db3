"""What an attack meets: a chain of defences, and an adversary who does not know of it, or does."""

from dataclasses import dataclass

from ganguard.audit.spec.adversaries import NAIVE, Adversary, Averaging, numbered, occurrences
from ganguard.audit.spec.chains import Chain
from ganguard.defences.protocol import chain_label


@dataclass(frozen=True)
class Situation:
    """A chain of defences, none or more, and who stands before it. numbers: of the chain, and of the
    adversary, among those of the spec that call themselves the same."""

    chain: Chain = ()
    adversary: Adversary = NAIVE
    numbers: tuple[int, int] = (1, 1)

    @property
    def defence(self) -> str | None:
        """The chain's label; None without a defence."""
        return numbered(chain_label(self.chain), self.numbers[0]) if self.chain else None

    @property
    def who(self) -> str:
        """The adversary's label."""
        return numbered(self.adversary.label(), self.numbers[1])

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
    numbers = occurrences(list(map(chain_label, chains)))
    return [
        Situation(chain, numbers=(number, 1)) for chain, number in zip(chains, numbers, strict=True) if chain
    ]


def situations(chains: tuple[Chain, ...], adversaries: tuple[Adversary, ...]) -> list[Situation]:
    """Every chain with every adversary; without a defence all adversaries are one."""
    who = list(zip(adversaries, occurrences([adversary.label() for adversary in adversaries]), strict=True))
    behind = defended(chains)
    return [Situation()] + [
        Situation(s.chain, adversary, (s.numbers[0], number)) for s in behind for adversary, number in who
    ]
