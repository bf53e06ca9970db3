"""The watch over all accounts: extraction risk, thresholds reached, and rates, brought up to date at once."""

import logging
import threading
from collections import defaultdict

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, select

from ganguard.defences.protocol import chain_label
from ganguard.gateway.spec import DEFAULT_CLASS, GatewaySpec
from ganguard.gateway.tables import KEYS
from ganguard.gateway.watch.by_condition import ByCondition
from ganguard.gateway.watch.raised_signs import MOST_LINES, counts, log_raised
from ganguard.gateway.watch.rates import AccountRates
from ganguard.gateway.watch.risk import Audited, Curves, Risk, distances, estimate
from ganguard.gateway.watch.telemetry import MOST_ACCOUNTS, Telemetry
from ganguard.gateway.watch.thresholds import Crossing, Crossings, out_of_reach
from ganguard.queries.ledger_database import Database
from ganguard.queries.ledger_tables import ACCOUNTS
from ganguard.targets.conditions import Conditions

LOG = logging.getLogger("ganguard.gateway")


class RiskWatch:
    """Watches all accounts of a gateway.

    Args:
        spec: the gateway's spec.
        audited: the audit that it names; None if it names none.
        database: the ledger's database; its tables exist.
        telemetry: shows what is found.
        conditions: what the target can be asked for; None if it takes no conditions.

    Attributes:
        audited: see the arguments.
        crossings: the thresholds that accounts have reached.
        rates: how much accounts ask for.
        by_condition: what they ask for; None if the target takes no conditions.
    """

    def __init__(
        self,
        spec: GatewaySpec,
        audited: Audited | None,
        database: Database,
        telemetry: Telemetry,
        conditions: Conditions | None = None,
    ) -> None:
        self._spec, self._database, self._telemetry = spec, database, telemetry
        self._lock = threading.Lock()
        self._thresholds = spec.risk.thresholds if spec.risk else ()
        self.audited = audited
        self._curves = self._curves_of(audited) if audited else dict[str, Curves]()
        self.crossings, self.rates = Crossings(database, self._thresholds), AccountRates(database)
        self.by_condition = ByCondition(spec, audited, database, conditions) if conditions else None
        for threshold, accounts in self.crossings.counts().items():
            telemetry.crossed(threshold, accounts)
        for sign, (_, times) in counts(database).items():
            telemetry.raised(sign, times)
        if said := self.out_of_reach():
            LOG.warning("extraction risk: %s", ". ".join(said))

    def update(self) -> None:
        """Estimate the risk of every account; set the metrics, and log what is new.

        Raises what the ledger raises.
        """
        with self._lock:
            if self._curves:
                self._update_risk()
            raised = self.rates.update()
            if self.by_condition:
                raised += self.by_condition.signs.update()
                self._telemetry.by_condition(self.by_condition.totals())
            log_raised(raised)
            for _, sign in raised:
                self._telemetry.raised(sign.name)
            for name, (accounts, _) in counts(self._database).items():
                self._telemetry.signs(name, accounts)

    def risk(self, images: int, class_: str) -> Risk | None:
        """Estimate how near a copy from so many images of an account could come.

        Returns None if the spec names no audit, or if there are no images.
        """
        if not self._curves or not images:
            return None
        curves = self._curves[class_]
        naive, adaptive = estimate(curves.naive, images), estimate(curves.adaptive, images)
        undefended = chain_label(self._spec.class_of(class_).defences) == "none"
        return Risk(naive, adaptive, audited=undefended or curves.defence is not None)

    def out_of_reach(self) -> list[str]:
        """Return a sentence for each threshold that is out of reach for accounts of some class."""
        return out_of_reach(self._thresholds, self._curves) if self._curves else []

    def _curves_of(self, audited: Audited) -> dict[str, Curves]:
        """Return the audit's curves behind the defences of each class."""
        labels = {class_: chain_label(self._spec.class_of(class_).defences) for class_ in self._classes()}
        curves = {label: audited.curves(label) for label in set(labels.values())}
        return {class_: curves[label] for class_, label in labels.items()}

    def _classes(self) -> set[str]:
        return {DEFAULT_CLASS, *self._spec.classes}

    def _update_risk(self) -> None:
        bought = select(ACCOUNTS.c.name, ACCOUNTS.c.reserved).where(ACCOUNTS.c.reserved > 0)
        with self._database.reading("read what was bought") as connection:
            rows = connection.execute(bought).all()
        others = classes(self._database, self._spec) if len(self._classes()) > 1 else dict[str, str]()
        by_class: defaultdict[str, tuple[list[str], list[int]]] = defaultdict(lambda: ([], []))
        for name, reserved in rows:
            accounts, images = by_class[others.get(name, DEFAULT_CLASS)]
            accounts.append(name)
            images.append(reserved)
        nearest = list[tuple[float, int, float, str]]()
        for class_ in self._classes():
            accounts, images = by_class[class_]
            nearest += self._estimated(class_, accounts, np.array(images, np.int64))
        shown = sorted(nearest)[:MOST_ACCOUNTS]
        by_adversary = {(account, "naive"): naive for *_, naive, account in shown}
        self._telemetry.nearest(
            by_adversary | {(account, "adaptive"): adaptive for adaptive, *_, account in shown}
        )

    def _estimated(
        self, class_: str, accounts: list[str], images: NDArray[np.int64]
    ) -> list[tuple[float, int, float, str]]:
        """Record the thresholds that accounts of a class have reached.

        Returns:
            The accounts that are nearest: (adaptive adversary's distance, minus its images, naive
            one's distance, account).
        """
        curves = self._curves[class_]
        adaptive, farther = distances(curves.adaptive, images)
        naive, _ = distances(curves.naive, images)
        for threshold in self._thresholds:
            self._telemetry.within(class_, threshold, int(((adaptive <= threshold) & ~farther).sum()))
        self._tell(*self.crossings.note(accounts, images, adaptive, farther), class_)
        # Distances do not grow with the images, and are equal beyond the audited budgets.
        first = np.argsort(-images, kind="stable")[:MOST_ACCOUNTS].tolist()
        return [
            (float(adaptive[place]), -int(images[place]), float(naive[place]), accounts[place])
            for place in first
        ]

    def _tell(self, unknown: list[Crossing], new: list[Crossing], class_: str) -> None:
        """Count thresholds newly reached, and log those that no other gateway has logged."""
        for crossing in unknown:
            self._telemetry.crossed(crossing.threshold)
        adaptive = self._curves[class_].adaptive
        for crossing in new[:MOST_LINES]:
            said = "account %r has bought enough images for a copy at %s, threshold %g"
            LOG.warning(said, crossing.account, estimate(adaptive, crossing.images), crossing.threshold)
        if len(new) > MOST_LINES:
            said = "%d more thresholds were reached at the same time; the operator's page shows them"
            LOG.warning(said, len(new) - MOST_LINES)


def classes(database: Database, spec: GatewaySpec, accounts: list[str] | None = None) -> dict[str, str]:
    """Return the class of each account whose latest key is of a class in the spec.

    Args:
        database: the ledger's database.
        spec: the gateway's spec.
        accounts: the accounts; None: all.
    """
    asked = select(KEYS.c.account, KEYS.c["class"], func.max(KEYS.c.created).label("latest"))
    known = KEYS.c["class"].in_([DEFAULT_CLASS, *spec.classes])
    asked = asked.where(known).group_by(KEYS.c.account, KEYS.c["class"]).order_by("latest")
    if accounts is not None:
        asked = asked.where(KEYS.c.account.in_(accounts))
    with database.reading("read the classes of accounts") as connection:
        return {account: class_ for account, class_, _ in connection.execute(asked)}
