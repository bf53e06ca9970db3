"""What is watched of each condition of a target: images, risk by class of image, who asks for one alone."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select

from ganguard.base.settings import one_line
from ganguard.defences.protocol import chain_label
from ganguard.gateway.spec import GatewaySpec
from ganguard.gateway.watch.one_condition import OneCondition
from ganguard.gateway.watch.paced import Paced
from ganguard.gateway.watch.risk import Audited, Estimate, estimate
from ganguard.queries.ledger_conditions import MostBought, ledger_name, read_most_bought
from ganguard.queries.ledger_database import Database
from ganguard.queries.ledger_tables import CONDITIONS
from ganguard.targets.conditions import LONGEST_SAID, Conditions

MOST_NAMED = 20  # conditions that a metric names
MOST_SHOWN = 5  # conditions that the operator's page shows of an account
OTHERS = "(others)"
_READ = "read what was bought of each condition"


@dataclass(frozen=True)
class BoughtOf:
    """What an account bought of a condition, as the page shows it.

    Attributes:
        name: the condition.
        images: images of it.
        budget: images of it that the account may buy in all; None if there is no such budget.
        risk: how near a copy could come within this condition, by the closest adversary; None if no audit
            measured it.
    """

    name: str
    images: int
    budget: int | None
    risk: Estimate | None


@dataclass(frozen=True)
class ConditionsBought:
    """What an account bought by condition, as the page shows it.

    Attributes:
        most: the conditions that it bought most of, most first.
        others: how many others it bought of.
        images: of these others.
    """

    most: list[BoughtOf]
    others: int
    images: int


class ByCondition:
    """The conditions of a gateway's target. Methods raise what the ledger raises.

    Args:
        spec: the gateway's spec.
        audited: the audit that it names; None if it names none.
        database: the ledger's database; the gateway's tables exist.
        conditions: what the target can be asked for.

    Attributes:
        signs: who asks for one condition far more often than others.
    """

    def __init__(
        self, spec: GatewaySpec, audited: Audited | None, database: Database, conditions: Conditions
    ) -> None:
        self._spec, self._audited, self._database = spec, audited, database
        self._names = {ledger_name(name): name for name in conditions.names}
        self._totals = list[tuple[str, int]]()
        self._pace = Paced()  # of reading them
        self.signs = OneCondition(database, len(conditions))

    def totals(self) -> list[tuple[str, int]]:
        """Return the images of all accounts by condition, for the MOST_NAMED that most were bought of; the
        others together, if there are any.

        If they take long to read, they are not read every time.
        """
        if self._pace.due():
            with self._pace.reading():
                self._totals = self._read_totals()
        return self._totals

    def _read_totals(self) -> list[tuple[str, int]]:
        images = func.sum(CONDITIONS.c.reserved).label("images")
        asked = select(CONDITIONS.c.condition, images).group_by(CONDITIONS.c.condition)
        with self._database.reading(_READ) as connection:
            if not self._database.has_conditions(connection):
                return []
            most = asked.order_by(images.desc(), CONDITIONS.c.condition).limit(MOST_NAMED)
            named = [(str(name), int(count)) for name, count in connection.execute(most)]
            total = int(connection.execute(select(func.sum(CONDITIONS.c.reserved))).scalar() or 0)
        left = total - sum(count for _, count in named)
        shown: defaultdict[str, int] = defaultdict(int)
        for name, count in [*named, *([(OTHERS, left)] if left else [])]:
            shown[one_line(name, LONGEST_SAID)] += count
        return list(shown.items())

    def bought(self, accounts: Sequence[str], class_of: dict[str, str]) -> dict[str, ConditionsBought]:
        """Return what each account bought by condition, of those that bought any.

        class_of: the class of each account.
        """
        with self._database.reading(_READ) as connection:
            if not self._database.has_conditions(connection):
                return {}
            found = read_most_bought(connection, accounts, MOST_SHOWN)
        return {account: self._shown(of, class_of[account]) for account, of in found.items()}

    def _shown(self, of: MostBought, class_: str) -> ConditionsBought:
        """Return what an account of a class bought, as the page shows it."""
        budgets, most = self._spec.class_of(class_).budgets, list[BoughtOf]()
        for row in of.most:
            name = self._names.get(row.condition, row.condition)
            budget = budgets.get(name) if row.budget is None else row.budget
            risk = self.risk(name, row.reserved, class_)
            most.append(BoughtOf(one_line(name, LONGEST_SAID), row.reserved, budget, risk))
        return ConditionsBought(
            most, of.conditions - len(most), of.images - sum(each.images for each in most)
        )

    def risk(self, name: str, images: int, class_: str) -> Estimate | None:
        """Estimate how near a copy could come within a condition, from so many images of it.

        Returns None if no audit measured that.
        """
        label = chain_label(self._spec.class_of(class_).defences)
        curve = self._audited.curve_within(name, label) if self._audited else ()
        return estimate(curve, images) if curve and images else None
