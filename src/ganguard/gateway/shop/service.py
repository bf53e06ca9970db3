"""All that a gateway is made of, from its spec: target, queue, shields, ledger, keys, journal."""

import logging
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from ganguard.defences.defended_target import DefendedTarget, defend
from ganguard.defences.protocol import Tools, chain_label
from ganguard.gateway.shop.admission import Admission
from ganguard.gateway.shop.keys import AsyncKeys, Key, Keys
from ganguard.gateway.shop.orders import Order, OrderProcessor
from ganguard.gateway.shop.provenance import maker
from ganguard.gateway.shop.secret import kept_secret
from ganguard.gateway.spec import DEFAULT_CLASS, GatewaySpec
from ganguard.gateway.watch.journal import RequestJournal
from ganguard.gateway.watch.risk import Audited, Curves, Estimate, estimate
from ganguard.gateway.watch.telemetry import Telemetry
from ganguard.gateway.watch.thresholds import Crossings, out_of_reach
from ganguard.metrics.features.network import differentiable, version_of
from ganguard.queries.ledger import Balance, Ledger
from ganguard.queries.ledger_database import Database
from ganguard.targets.batching_target import BatchingTarget
from ganguard.targets.load import load_target
from ganguard.targets.protocol import LatentTarget
from ganguard.targets.wire import Served

LOG = logging.getLogger("ganguard.gateway")
REDEEMED_A_MINUTE = 10  # largest requests, of an account that has no rate
MOST_SHIELDS = 1000  # accounts whose shields are kept ready


@dataclass(frozen=True)
class Risk:
    """What an account has bought enough for, by an adversary who does not know of the defence, and by the
    closest."""

    naive: Estimate
    adaptive: Estimate
    audited: bool


class Service:
    """A gateway without its HTTP. `close` finishes what was reserved. Raises InputError where the spec does
    not work.

    new_secret: whether another secret than before is meant.
    """

    def __init__(self, spec: GatewaySpec, *, new_secret: bool = False) -> None:
        self.spec, self.telemetry = spec, Telemetry()
        self.audited = Audited(Path(spec.risk.results)) if spec.risk else None
        target = load_target(spec.target, spec.compute)
        self._tools = Tools(
            lambda settings: differentiable(settings, target.image_shape[0], spec.compute), version_of
        )
        self.ledger = Ledger(spec.place())
        self.database = Database(spec.place())
        self._secret = kept_secret(Path(spec.directory), self.database, renewed=new_secret)
        self.keys, self.journal = Keys(self.database), RequestJournal(self.database)
        self.async_keys = AsyncKeys(self.keys)
        self.batching = BatchingTarget(target, spec.batching, self.telemetry.batch)
        self.admission = Admission(spec.batching.most_waiting)
        self.orders = OrderProcessor(self.ledger, self._secret, maker(spec.compute))
        self._lock, self._shields = threading.Lock(), dict[tuple[str, str], DefendedTarget]()
        self._curves: dict[str, Curves] = {}
        self.crossings = Crossings(self.database, spec.risk.thresholds if spec.risk else ())
        for threshold, accounts in self.crossings.counts().items():
            self.telemetry.crossed(threshold, accounts)
        self.ready = False
        self._rehearse()

    def _rehearse(self) -> None:
        """See that the defences of every class fit the target, before anybody asks."""
        try:
            for class_ in {DEFAULT_CLASS, *self.spec.classes}:
                self.target_for("rehearsal", class_).rehearse()
        except BaseException:
            self.close()
            raise
        self._shields.clear()
        if said := self.out_of_reach():
            LOG.warning("extraction risk: %s", ". ".join(said))
        self.ready = True

    def close(self) -> None:
        """Take nothing more, finish what waits, and write what is noted."""
        self.ready = False
        self.batching.close()
        self.journal.close()
        self.ledger.close()
        self.database.close()

    def target_for(self, account: str, class_: str) -> DefendedTarget:
        """The target as an account of a class meets it."""
        with self._lock:
            if (account, class_) not in self._shields:
                if len(self._shields) >= MOST_SHIELDS:
                    self._shields.clear()
                chain = self.spec.class_of(class_).defences
                inner = self.batching.of(account)
                shield = defend(inner, chain, secret=self._secret, client=account, tools=self._tools)
                self._shields[account, class_] = shield
            return self._shields[account, class_]

    def served(self, key: Key) -> Served:
        """What the holder of a key is told about the target."""
        target = self.target_for(key.account, key.class_)
        codes = target.latent_dim if isinstance(target, LatentTarget) and key.scopes.send_latents else None
        return Served(identity=target.identity, image_shape=target.image_shape, latent_dim=codes)

    @contextmanager
    def admitted(self, order: Order, class_: str) -> Generator[None]:
        """Room for an order in the body. Raises ProblemError where there is none, or the account asks too
        fast."""
        try:
            with self.admission.room(order.account, order.count):
                self.admission.pace(order.account, order.count, self.spec.class_of(class_).images_a_minute)
                self.telemetry.inside(self.admission.inside)
                yield
        finally:
            self.telemetry.inside(self.admission.inside)

    def sell(self, order: Order, class_: str) -> Tensor:
        """Images (count, C, H, W) uint8 of an order that was admitted. Raises ProblemError, and whatever else
        the ledger and the target raise where it is to be asked for again."""
        rate = self.spec.class_of(class_).images_a_minute
        try:
            target = self.target_for(order.account, class_)
            new = self.orders.reserve(order, target)
        except BaseException:
            self.admission.give_back(order.account, order.count, rate)
            raise
        if new:
            self.journal.note(order.account, order.count, order.latents)
        elif rate is None:  # what costs nothing has a rate all the same; where there is one, it was counted
            self.admission.pace(
                f"{order.account} redeems", order.count, REDEEMED_A_MINUTE * self.spec.most_images
            )
        return self.orders.deliver(order, target)

    def classes(self) -> dict[str, str]:
        """The class of each account that has a key."""
        return {
            key.account: key.class_
            for key in self.keys.listed()
            if key.class_ in {DEFAULT_CLASS, *self.spec.classes}
        }

    def look(self) -> None:
        """See how far every account has come."""
        classes = self.classes()
        for balance in self.ledger.balances():
            self.risk(balance, classes.get(balance.account, DEFAULT_CLASS))

    def risk(self, balance: Balance, class_: str) -> Risk | None:
        """How near the images of an account could bring a copy; None where no audit is known, or nothing was
        bought."""
        if self.audited is None or not balance.reserved:
            return None
        label, curves = self._curves_of(self.audited, class_)
        naive, adaptive = (estimate(curve, balance.reserved) for curve in (curves.naive, curves.adaptive))
        self._tell(balance, naive, adaptive)
        return Risk(naive, adaptive, audited=label == "none" or curves.defence is not None)

    def _curves_of(self, audited: Audited, class_: str) -> tuple[str, Curves]:
        """The defences of a class, and what the audit found about copies behind them."""
        label = chain_label(self.spec.class_of(class_).defences)
        if label not in self._curves:
            self._curves[label] = audited.curves(label)
        return label, self._curves[label]

    def _tell(self, balance: Balance, naive: Estimate, adaptive: Estimate) -> None:
        """Metrics, and a line of the log where an account comes as near as a threshold for the first time."""
        self.telemetry.reached(balance.account, "naive", naive.distance)
        self.telemetry.reached(balance.account, "adaptive", adaptive.distance)
        for threshold in self.crossings.note(balance.account, balance.reserved, adaptive):
            self.telemetry.crossed(threshold)
            said = "account %r has bought enough images for a copy at %s, threshold %g"
            LOG.warning(said, balance.account, adaptive, threshold)

    def out_of_reach(self) -> list[str]:
        """What to say of thresholds that no account can reach by what was audited."""
        if self.audited is None or self.spec.risk is None:
            return []
        curves = {
            class_: self._curves_of(self.audited, class_)[1] for class_ in {DEFAULT_CLASS, *self.spec.classes}
        }
        return out_of_reach(self.spec.risk.thresholds, curves)
