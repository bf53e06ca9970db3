"""The gateway without HTTP: target, queue, defences, ledger, keys, journal and risk, built from a spec."""

import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from torch import Tensor

from ganguard.defences.defended_target import DefendedTarget, defend
from ganguard.defences.tools import tools_for
from ganguard.gateway.shop.admission import Admission
from ganguard.gateway.shop.keys import AsyncKeys, Key, Keys
from ganguard.gateway.shop.orders import Order, OrderProcessor
from ganguard.gateway.shop.provenance import provenance
from ganguard.gateway.shop.secret import kept_secret
from ganguard.gateway.spec import DEFAULT_CLASS, GatewaySpec
from ganguard.gateway.watch.journal import RequestJournal
from ganguard.gateway.watch.risk import Audited
from ganguard.gateway.watch.risk_watch import RiskWatch
from ganguard.gateway.watch.telemetry import Telemetry
from ganguard.queries.ledger import Ledger
from ganguard.queries.ledger_database import Database
from ganguard.targets.batching_target import BatchingTarget
from ganguard.targets.load import load_target
from ganguard.targets.protocol import LatentTarget
from ganguard.targets.wire import Served

REDEEMED_A_MINUTE = 10  # requests of the largest size that an account without a rate may redeem
MOST_DEFENDED = 1000  # defended targets that are kept ready, one for each account


class Service:
    """A gateway without HTTP. `close` finishes the requests in progress.

    Args:
        spec: the gateway's spec.
        new_secret: whether to accept another secret than the one that images were bought under.

    Raises InputError if the spec does not work.
    """

    def __init__(self, spec: GatewaySpec, *, new_secret: bool = False) -> None:
        self.spec, self.telemetry = spec, Telemetry()
        audited = Audited(Path(spec.risk.results)) if spec.risk else None
        target = load_target(spec.target, spec.compute)
        self._tools = tools_for(target.image_shape[0], spec.compute)
        self.ledger = Ledger(spec.place())
        self.database = Database(spec.place())
        self._secret = kept_secret(Path(spec.directory), self.database, renewed=new_secret)
        self.keys, self.watch = Keys(self.database), RiskWatch(spec, audited, self.database, self.telemetry)
        self.journal = RequestJournal(self.database, self.telemetry)
        self.async_keys = AsyncKeys(self.keys)
        self.batching = BatchingTarget(target, spec.batching, self.telemetry.batch)
        self.admission = Admission(spec.batching.most_waiting)
        self.orders = OrderProcessor(self.ledger, self._secret, provenance(spec.compute))
        self._lock, self._defended = threading.Lock(), dict[tuple[str, str], DefendedTarget]()
        self.ready = False
        self._rehearse()

    def _rehearse(self) -> None:
        """Check that the defences of every class fit the target, before clients may ask."""
        try:
            for class_ in {DEFAULT_CLASS, *self.spec.classes}:
                self.target_for("rehearsal", class_).rehearse()
        except BaseException:
            self.close()
            raise
        self._defended.clear()
        self.ready = True

    def close(self) -> None:
        """Accept nothing more, finish the requests in progress, and write the journal."""
        self.ready = False
        self.batching.close()
        self.journal.close()
        self.ledger.close()
        self.database.close()

    def target_for(self, account: str, class_: str) -> DefendedTarget:
        """Return the target behind the defences of a class, as an account asks it."""
        with self._lock:
            if (account, class_) not in self._defended:
                if len(self._defended) >= MOST_DEFENDED:
                    self._defended.clear()
                chain = self.spec.class_of(class_).defences
                inner = self.batching.of(account)
                target = defend(inner, chain, secret=self._secret, client=account, tools=self._tools)
                self._defended[account, class_] = target
            return self._defended[account, class_]

    def served(self, key: Key) -> Served:
        """Return what a key's holder may know about the target."""
        target = self.target_for(key.account, key.class_)
        codes = target.latent_dim if isinstance(target, LatentTarget) and key.scopes.send_latents else None
        return Served(identity=target.identity, image_shape=target.image_shape, latent_dim=codes)

    @contextmanager
    def admitted(self, order: Order, class_: str) -> Generator[None]:
        """Hold room for an order while the body runs.

        Raises ProblemError if there is no room (503), or if the account exceeds its rate (429, 403).
        """
        try:
            with self.admission.room(order.account, order.count):
                self.admission.pace(order.account, order.count, self.spec.class_of(class_).images_a_minute)
                self.telemetry.inside(self.admission.inside)
                yield
        finally:
            self.telemetry.inside(self.admission.inside)

    def sell(self, order: Order, class_: str) -> Tensor:
        """Reserve and make the images (count, C, H, W) uint8 of an admitted order.

        Raises ProblemError if the order is refused, and whatever else the ledger and the target raise; it can
        then be asked for again.
        """
        rate = self.spec.class_of(class_).images_a_minute
        try:
            target = self.target_for(order.account, class_)
            new = self.orders.reserve(order, target)
        except BaseException:
            self.admission.give_back(order.account, order.count, rate)
            raise
        if new:
            self.journal.note(order.account, order.count, order.latents)
        elif rate is None:
            # Redeeming is free, so it needs a rate of its own if the account has none that counted it.
            redeemed_a_minute = REDEEMED_A_MINUTE * self.spec.most_images
            self.admission.pace(f"{order.account} redeems", order.count, redeemed_a_minute)
        return self.orders.deliver(order, target)
