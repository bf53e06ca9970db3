"""What is watched of each condition of a target: images, risk by class of image, who asks for one alone."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select

from ganguard.base.settings import one_line
from ganguard.defences.protocol import chain_label
from ganguard.gateway.spec import GatewaySpec
from ganguard.gateway.watch.one_condition import OneCondition
from ganguard.gateway.watch.risk import Audited, Estimate, estimate
from ganguard.queries.ledger_conditions import ledger_name, read_conditions
from ganguard.queries.ledger_database import Database
from ganguard.queries.ledger_tables import CONDITIONS, has_conditions
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
        self.signs = OneCondition(database, len(conditions))

    def totals(self) -> list[tuple[str, int]]:
        """Return the images of all accounts by condition, for the MOST_NAMED that most were bought of; the
        others together, if there are any."""
        images = func.sum(CONDITIONS.c.reserved).label("images")
        asked = select(CONDITIONS.c.condition, images).group_by(CONDITIONS.c.condition)
        with self._database.reading(_READ) as connection:
            if not has_conditions(connection):
                return []
            most = asked.order_by(images.desc(), CONDITIONS.c.condition).limit(MOST_NAMED)
            named = [(str(name), int(count)) for name, count in connection.execute(most)]
            total = int(connection.execute(select(func.sum(CONDITIONS.c.reserved))).scalar() or 0)
        left = total - sum(count for _, count in named)
        shown: defaultdict[str, int] = defaultdict(int)
        for name, count in [*named, *([(OTHERS, left)] if left else [])]:
            shown[one_line(name, LONGEST_SAID)] += count
        return list(shown.items())

    def bought(self, accounts: Sequence[str], class_of: dict[str, str]) -> dict[str, list[BoughtOf]]:
        """Return what each account bought, of each condition, most first.

        class_of: the class of each account.
        """
        found: defaultdict[str, list[BoughtOf]] = defaultdict(list)
        with self._database.reading(_READ) as connection:
            rows = read_conditions(connection, accounts)
        for row in rows:
            if row.reserved:
                name = self._names.get(row.condition, row.condition)
                budgets = self._spec.class_of(class_of[row.account]).budgets
                budget = budgets.get(name) if row.budget is None else row.budget
                risk = self.risk(name, row.reserved, class_of[row.account])
                found[row.account].append(BoughtOf(one_line(name, LONGEST_SAID), row.reserved, budget, risk))
        return {account: sorted(of, key=lambda each: -each.images) for account, of in found.items()}

    def risk(self, name: str, images: int, class_: str) -> Estimate | None:
        """Estimate how near a copy could come within a condition, from so many images of it.

        Returns None if no audit measured that.
        """
        label = chain_label(self._spec.class_of(class_).defences)
        curve = self._audited.curve_within(name, label) if self._audited else ()
        return estimate(curve, images) if curve and images else None
