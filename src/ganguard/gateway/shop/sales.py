"""Sales: an order is admitted, reserved, made, recorded as delivered, and noted."""

from collections.abc import Callable, Generator
from contextlib import contextmanager

from torch import Tensor

from ganguard.gateway.refusals import ProblemError
from ganguard.gateway.shop.admission import Admission, Room
from ganguard.gateway.shop.in_progress import Together
from ganguard.gateway.shop.memory import Memory
from ganguard.gateway.shop.offers import Offer, Offers
from ganguard.gateway.shop.order import Order
from ganguard.gateway.shop.orders import OrderProcessor
from ganguard.gateway.shop.rates import Rates
from ganguard.gateway.watch.journal import RequestJournal
from ganguard.gateway.watch.telemetry import Telemetry
from ganguard.queries.reservation import Purchase


class Sales:
    """Sells orders.

    Args:
        offers: what accounts are offered.
        orders: reserves and delivers.
        admission: shares the room.
        rates: counts what accounts ask for.
        memory: how much room an order takes.
        journal: notes what was bought.
        telemetry: shows how much is in progress.
    """

    def __init__(
        self,
        offers: Offers,
        orders: OrderProcessor,
        admission: Admission,
        rates: Rates,
        memory: Memory,
        journal: RequestJournal,
        telemetry: Telemetry,
    ) -> None:
        self._offers, self._orders, self._admission, self._rates = offers, orders, admission, rates
        self._memory, self._journal, self._telemetry = memory, journal, telemetry

    @contextmanager
    def admitted(self, order: Order, class_: str) -> Generator[Room]:
        """Hold room for an order while the body runs.

        Raises ProblemError if there is no room (503), or if the account exceeds its rate (429, 403).
        """
        account, images = order.account, order.count
        try:
            with self._admission.room(account, images, self._memory.of_images(images)) as room:
                self._rates.asked(account, class_, images)
                self._telemetry.inside(self._admission.inside)
                yield room
        finally:
            self._telemetry.inside(self._admission.inside)

    def sell(
        self, order: Order, class_: str, encode: Callable[[Tensor], bytes], gone: Callable[[], bool]
    ) -> bytes:
        """Reserve, make and encode the images of an admitted order; what is returned may be sent.

        Args:
            order: the order.
            class_: the class of its account.
            encode: turns images (count, C, H, W) uint8 into the body of an answer.
            gone: tells whether nobody waits for the answer any more; then the order is not delivered.

        Raises ProblemError if the order is refused or its images cannot be made, and whatever the ledger
        raises; it can then be asked for again.
        """
        with self._orders.request(order) as together:
            offer, purchase = self._reserved(order, class_, together)
            try:
                body = self._orders.make(order, offer.target, purchase, together, encode, gone)
            except ProblemError:
                self._rates.failed(order.account, class_, order.count)
                raise
            if self._orders.deliver(purchase):  # redeemed images are no new traffic
                self._journal.note(order.account, order.count, order.latents)
            return body

    def _reserved(self, order: Order, class_: str, together: Together) -> tuple[Offer, Purchase]:
        """Reserve an order, or find that it is redeemed, and count its images accordingly."""
        try:
            offer = self._offers.to(order.account, class_)
            purchase, new = self._orders.reserve(order, offer)
        except BaseException:
            self._rates.refused(order.account, class_, order.count)
            raise
        together.reserved |= new
        if not new:
            self._rates.redeemed(order.account, class_, order.count)
        return offer, purchase
