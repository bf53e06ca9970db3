"""Which copy a number belongs to: five fields that many records share."""

from ganguard.base.settings import NonNegative, Positive, Settings


class Whose(Settings):
    """The copy that a number, a picture or a purchase belongs to.

    Attributes:
        attack: label of the attack (AttackRecord.label); None for what no attack made.
        query_budget: images that the copy's adversary paid for.
        seed: of the purchase and the substitute.
        defence: label of the defence (DefenceRecord.label); None without one.
        adversary: label of the adversary behind a defence; None without a defence.
    """

    attack: str | None = None
    query_budget: Positive | None = None
    seed: NonNegative | None = None
    defence: str | None = None
    adversary: str | None = None

    @property
    def whose(self) -> "Whose":
        """The five fields alone."""
        return Whose(
            attack=self.attack,
            query_budget=self.query_budget,
            seed=self.seed,
            defence=self.defence,
            adversary=self.adversary,
        )


class WhoseCopy(Whose):
    """The same for what only a copy has: none of the first three fields is None."""

    attack: str  # pyright: ignore[reportGeneralTypeIssues] - required here
    query_budget: Positive  # pyright: ignore[reportGeneralTypeIssues] - required here
    seed: NonNegative  # pyright: ignore[reportGeneralTypeIssues] - required here
