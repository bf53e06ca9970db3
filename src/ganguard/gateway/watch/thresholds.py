"""Which account has bought enough to come as near as a threshold, and when: written once each, so that a
restart neither tells of it again nor forgets it."""

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
    """An account came as near as a threshold. images: that it had bought when this was seen; at: seconds
    since 1970."""

    account: str
    threshold: float
    images: int
    at: float


class Crossings:
    """The crossings in a ledger's database. What it raises is what the ledger raises."""

    def __init__(self, database: Database, thresholds: Sequence[float]) -> None:
        self._database, self._thresholds = open_database(database), thresholds
        self._known = {(crossing.account, crossing.threshold) for crossing in self.listed()}

    def note(self, account: str, images: int, adaptive: Estimate) -> list[float]:
        """Write the thresholds that an account of so many images has reached, and nobody wrote before;
        these."""
        reached = [t for t in self._thresholds if adaptive.where != "below" and adaptive.distance <= t]
        return [
            t
            for t in reached
            if (account, t) not in self._known and self._write(Crossing(account, t, images, time.time()))
        ]

    def _write(self, found: Crossing) -> bool:
        """False where another process wrote it first."""
        with self._database.transaction("record that a threshold was reached") as connection:
            first = add(connection, CROSSINGS, asdict(found))
        self._known.add((found.account, found.threshold))
        return first

    def listed(self) -> list[Crossing]:
        """Every crossing, by account, the farthest threshold first."""
        with self._database.reading("list the thresholds that were reached") as connection:
            rows = connection.execute(
                select(CROSSINGS).order_by(CROSSINGS.c.account, CROSSINGS.c.threshold.desc())
            ).mappings()
            return [Crossing(**row) for row in rows]

    def by_account(self) -> dict[str, list[Crossing]]:
        """The crossings of each account that has any."""
        found: defaultdict[str, list[Crossing]] = defaultdict(list)
        for crossing in self.listed():
            found[crossing.account].append(crossing)
        return dict(found)

    def counts(self) -> dict[float, int]:
        """Accounts that reached each threshold which any reached."""
        return dict(Counter(threshold for _, threshold in self._known))


def out_of_reach(thresholds: Sequence[float], curves: dict[str, Curves]) -> list[str]:
    """What to say of thresholds that no account of a class (the key) can reach, since no copy that was
    audited came as near."""
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
