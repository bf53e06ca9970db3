"""Risk thresholds that accounts have reached.

Each is recorded once, so that a restart neither repeats the warning nor forgets it.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import select

from ganguard.gateway.tables import CROSSINGS, open_database
from ganguard.gateway.watch.risk import Curves, Estimate
from ganguard.queries.ledger_database import Database, add


@dataclass(frozen=True)
class Crossing:
    """An account that has bought enough images for a copy as near as a threshold.

    Attributes:
        account: the account.
        threshold: the Fréchet distance that was reached.
        images: images that the account had bought when the crossing was noticed.
        at: when it was noticed, in seconds since 1970.
    """

    account: str
    threshold: float
    images: int
    at: float


class Crossings:
    """The crossings in a ledger's database. Methods raise what the ledger raises."""

    def __init__(self, database: Database, thresholds: Sequence[float]) -> None:
        self._database, self._thresholds = open_database(database), thresholds
        self._known = {(crossing.account, crossing.threshold) for crossing in self.listed()}

    def note(self, account: str, images: int, adaptive: Estimate) -> list[float]:
        """Record the thresholds that an account has newly reached, and return them.

        Args:
            account: the account.
            images: images that it has bought.
            adaptive: the estimate for the closest adversary.
        """
        reached = [t for t in self._thresholds if adaptive.where != "below" and adaptive.distance <= t]
        unknown = [t for t in reached if (account, t) not in self._known]
        return [t for t in unknown if self._write(Crossing(account, t, images, time.time()))]

    def _write(self, found: Crossing) -> bool:
        """Record a crossing; return False if another process recorded it first."""
        with self._database.transaction("record that a threshold was reached") as connection:
            first = add(connection, CROSSINGS, asdict(found))
        self._known.add((found.account, found.threshold))
        return first

    def listed(self) -> list[Crossing]:
        """Return every crossing, ordered by account and then by descending threshold."""
        with self._database.reading("list the thresholds that were reached") as connection:
            rows = connection.execute(
                select(CROSSINGS).order_by(CROSSINGS.c.account, CROSSINGS.c.threshold.desc())
            ).mappings()
            return [Crossing(**row) for row in rows]

    def by_account(self) -> dict[str, list[Crossing]]:
        """Return the crossings of each account that has any, by descending threshold."""
        found: defaultdict[str, list[Crossing]] = defaultdict(list)
        for crossing in self.listed():
            found[crossing.account].append(crossing)
        return dict(found)

    def counts(self) -> dict[float, int]:
        """Return how many accounts have reached each threshold, for thresholds that any account reached."""
        return dict(Counter(threshold for _, threshold in self._known))


def out_of_reach(thresholds: Sequence[float], curves: dict[str, Curves]) -> list[str]:
    """Return a sentence for each threshold that accounts of some class can never reach.

    A threshold is out of reach if no audited copy came as near.

    Args:
        thresholds: Fréchet distances to the target.
        curves: the audit's curves by class of account.
    """
    said: list[str] = []
    for threshold in thresholds:
        far: defaultdict[str, list[str]] = defaultdict(list)
        for class_, of in sorted(curves.items()):
            if (nearest := of.adaptive[-1]).distance > threshold:
                far[f"{nearest.distance:.3g}, from {nearest.budget:,} images"].append(class_)
        if far:
            classes = "; ".join(f"{', '.join(names)}: {nearest}" for nearest, names in far.items())
            said.append(
                f"threshold {threshold:g} is never reached: no copy that was audited came as near (class "
                f"{classes})"
            )
    return said
