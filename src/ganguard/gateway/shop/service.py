"""The gateway without HTTP: target, queue, defences, ledger, keys, journal and risk, built from a spec."""

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from torch import Tensor

from ganguard.base.errors import SpecError
from ganguard.defences.defended_target import DefendedTarget, defend
from ganguard.defences.tools import tools_for
from ganguard.gateway.shop.admission import Admission, Room
from ganguard.gateway.shop.databases import Databases
from ganguard.gateway.shop.in_progress import Together
from ganguard.gateway.shop.keys import AsyncKeys, Key, Keys
from ganguard.gateway.shop.memory import bytes_an_image
from ganguard.gateway.shop.orders import Offer, Order, OrderProcessor
from ganguard.gateway.shop.provenance import Provenance, digest, machine_and_software
from ganguard.gateway.shop.secret import kept_secret
from ganguard.gateway.spec import DEFAULT_CLASS, GatewaySpec
from ganguard.gateway.watch.journal import RequestJournal
from ganguard.gateway.watch.risk import Audited
from ganguard.gateway.watch.risk_watch import RiskWatch
from ganguard.gateway.watch.telemetry import Telemetry
from ganguard.queries.reservation import Purchase
from ganguard.targets.batching_target import BatchingTarget
from ganguard.targets.load import load_target
from ganguard.targets.protocol import LatentTarget
from ganguard.targets.wire import Served

BUYS, REDEEMS = "buys", "redeems"  # what an account's images are counted for
# Names of ours in place of an account's: no account's name holds this character.
OPERATOR, _REHEARSAL = "\x1foperator", "\x1frehearsal"
REDEEMED_A_MINUTE = 10  # requests of the largest size that an account without a rate may redeem
MOST_OFFERS = 1000  # offers that are kept ready, one for each account


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
        self._bytes_an_image = bytes_an_image(target)
        self.most_images = min(spec.most_images, self._most_at_once())
        self._tools = tools_for(target.image_shape[0], spec.compute)
        self._databases = Databases(spec)
        self.ledger, self.database = self._databases.ledger, self._databases.database
        self._secret = kept_secret(Path(spec.directory), self.database, renewed=new_secret)
        self.keys, self.watch = Keys(self.database), RiskWatch(spec, audited, self.database, self.telemetry)
        self.journal = RequestJournal(self.database, self.telemetry)
        self.async_keys = AsyncKeys(self.keys)
        self.batching = BatchingTarget(target, spec.batching, self.telemetry.batch)
        self.admission = Admission(spec.batching.most_waiting, spec.most_mib << 20)
        self.orders = OrderProcessor(self.ledger, self._secret)
        self._made_by = machine_and_software(spec.compute)
        self._lock, self._offers = threading.Lock(), dict[tuple[str, str], Offer]()
        self._rehearse()

    def _most_at_once(self) -> int:
        """Return how many images the whole room holds. Raises SpecError if it does not hold one."""
        most = (self.spec.most_mib << 20) // self._bytes_an_image
        if not most:
            needed = -(-self._bytes_an_image >> 20)
            raise SpecError(
                f"spec.most_mib: must be at least {needed}, the memory for one image of this target; got "
                f"{self.spec.most_mib}."
            )
        return most

    def _rehearse(self) -> None:
        """Check that the defences of every class fit the target, before clients may ask."""
        try:
            for class_ in {DEFAULT_CLASS, *self.spec.classes}:
                self.target_for(_REHEARSAL, class_).rehearse()
        except BaseException:
            self.close()
            raise
        self._offers.clear()

    def close(self) -> None:
        """Accept nothing more, finish the requests in progress, and write the journal."""
        self._databases.readiness.close()
        self.batching.close()
        self.journal.close()
        self._databases.close()

    async def readiness(self) -> str | None:
        """Return why nothing can be sold now, in words for anybody, or None if it can; within seconds."""
        return await self._databases.readiness.check()

    def target_for(self, account: str, class_: str) -> DefendedTarget:
        """Return the target behind the defences of a class, as an account asks it."""
        return self.offer(account, class_).target

    def offer(self, account: str, class_: str) -> Offer:
        """Return what an account of a class is offered."""
        with self._lock:
            if (account, class_) not in self._offers:
                if len(self._offers) >= MOST_OFFERS:
                    self._offers.clear()
                self._offers[account, class_] = self._offer(account, class_)
            return self._offers[account, class_]

    def _offer(self, account: str, class_: str) -> Offer:
        of, inner = self.spec.class_of(class_), self.batching.of(account)
        target = defend(inner, of.defences, secret=self._secret, client=account, tools=self._tools)
        machine, software = self._made_by
        provenance = Provenance(
            machine=machine,
            software=software,
            target=digest(inner.identity),
            defences=digest(of.model_dump_json(include={"defences"})),
            served=digest(target.identity),
            class_=class_,
        )
        return Offer(target, provenance)

    def most_of(self, key: Key) -> int:
        """Return the most images that a request under a key may ask for."""
        return min(key.scopes.most_images, self.most_images)

    def served(self, key: Key) -> Served:
        """Return what a key's holder may know about the target."""
        target = self.target_for(key.account, key.class_)
        codes = target.latent_dim if isinstance(target, LatentTarget) and key.scopes.send_latents else None
        return Served(identity=target.identity, image_shape=target.image_shape, latent_dim=codes)

    @contextmanager
    def admitted(self, order: Order, class_: str) -> Generator[Room]:
        """Hold room for an order while the body runs.

        Raises ProblemError if there is no room (503), or if the account exceeds its rate (429, 403).
        """
        account, count = order.account, order.count
        try:
            with self.admission.room(account, count, count * self._bytes_an_image) as room:
                self.admission.pace((account, BUYS), count, self.spec.class_of(class_).images_a_minute)
                self.telemetry.inside(self.admission.inside)
                yield room
        finally:
            self.telemetry.inside(self.admission.inside)

    def sell(self, order: Order, class_: str, encode: Callable[[Tensor], bytes]) -> bytes:
        """Reserve, make and encode the images of an admitted order; what is returned may be sent.

        Raises ProblemError if the order is refused or its images cannot be made, and whatever the ledger
        raises; it can then be asked for again.
        """
        with self.orders.request(order) as together:
            offer, purchase = self._reserved(order, class_, together)
            body = self.orders.make(order, offer.target, purchase, together, encode)
            if self.orders.deliver(purchase):  # redeemed images are no new traffic
                self.journal.note(order.account, order.count, order.latents)
            return body

    def _reserved(self, order: Order, class_: str, together: Together) -> tuple[Offer, Purchase]:
        """Reserve an order, and take its images out of the account's rate if only redeeming does."""
        rate = self.spec.class_of(class_).images_a_minute
        try:
            offer = self.offer(order.account, class_)
            purchase, new = self.orders.reserve(order, offer)
        except BaseException:
            self.admission.give_back((order.account, BUYS), order.count, rate)
            raise
        together.reserved |= new
        if not new and rate is None:
            # Redeeming is free, so it needs a rate of its own if the account has none that counted it.
            redeemed_a_minute = REDEEMED_A_MINUTE * self.spec.most_images
            self.admission.pace((order.account, REDEEMS), order.count, redeemed_a_minute)
        return offer, purchase
