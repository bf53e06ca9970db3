"""Risk thresholds that accounts have reached.

Each is recorded once, so that a restart neither repeats the warning nor forgets it.
"""

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select

from ganguard.gateway.tables import CROSSINGS, open_database
from ganguard.gateway.watch.risk import Curves
from ganguard.gateway.watch.statements import add_all
from ganguard.queries.ledger_database import Database

MOST_AT_ONCE = 10_000  # crossings that one transaction writes


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
        self._known: defaultdict[float, set[str]] = defaultdict(set)
        with self._database.reading("list the thresholds that were reached") as connection:
            for account, threshold in connection.execute(select(CROSSINGS.c.account, CROSSINGS.c.threshold)):
                self._known[threshold].add(account)

    def note(
        self,
        accounts: Sequence[str],
        images: NDArray[np.int64],
        distances: NDArray[np.float64],
        farther: NDArray[np.bool_],
    ) -> tuple[list[Crossing], list[Crossing]]:
        """Record the thresholds that accounts have newly reached.

        Args:
            accounts: the accounts.
            images: images that each has bought.
            distances: the estimated distance of a copy, by the closest adversary.
            farther: whether it is only known that a copy is no nearer; no threshold is reached then.

        Returns:
            The crossings that this process had not known, and those of them that no other had recorded.
        """
        now, unknown = time.time(), list[Crossing]()
        for threshold in self._thresholds:
            reached = np.flatnonzero((distances <= threshold) & ~farther).tolist()
            known = self._known[threshold]
            unknown += [
                Crossing(accounts[place], threshold, int(images[place]), now)
                for place in reached
                if accounts[place] not in known
            ]
        return unknown, [crossing for part in _parts(unknown) for crossing in self._written(part)]

    def _written(self, found: Sequence[Crossing]) -> list[Crossing]:
        """Record crossings, and return those that no other process recorded first."""
        with self._database.transaction("record that thresholds were reached") as connection:
            first = add_all(connection, CROSSINGS, [vars(crossing) for crossing in found])
        for crossing in found:
            self._known[crossing.threshold].add(crossing.account)
        return [crossing for crossing in found if (crossing.account, crossing.threshold) in first]

    def of(self, accounts: Sequence[str]) -> dict[str, list[Crossing]]:
        """Return the crossings of each of some accounts that has any, by descending threshold."""
        asked = select(CROSSINGS).where(CROSSINGS.c.account.in_(accounts))
        found: defaultdict[str, list[Crossing]] = defaultdict(list)
        with self._database.reading("list the thresholds that were reached") as connection:
            for row in connection.execute(asked.order_by(CROSSINGS.c.threshold.desc())).mappings():
                found[row["account"]].append(Crossing(**row))
        return dict(found)

    def counts(self) -> dict[float, int]:
        """Return how many accounts have reached each threshold, for thresholds that any account reached."""
        return {threshold: len(accounts) for threshold, accounts in self._known.items() if accounts}


def _parts(found: Sequence[Crossing]) -> list[Sequence[Crossing]]:
    return [found[start : start + MOST_AT_ONCE] for start in range(0, len(found), MOST_AT_ONCE)]


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
