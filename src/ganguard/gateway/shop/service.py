"""The gateway without HTTP: target, queue, defences, ledger, keys, journal and risk, built from a spec."""

import logging
from pathlib import Path

from ganguard.defences.defended_target import DefendedTarget
from ganguard.defences.protocol import chain_label
from ganguard.gateway.shop.admission import Admission
from ganguard.gateway.shop.keys import AsyncKeys, Key, Keys
from ganguard.gateway.shop.memory import Memory
from ganguard.gateway.shop.offers import Offers
from ganguard.gateway.shop.orders import OrderProcessor
from ganguard.gateway.shop.rates import Rates
from ganguard.gateway.shop.sales import Sales
from ganguard.gateway.shop.secret import kept_secret
from ganguard.gateway.spec import DEFAULT_CLASS, GatewaySpec
from ganguard.gateway.watch.journal import RequestJournal
from ganguard.gateway.watch.risk import Audited, Curves, Estimate, Risk, estimate
from ganguard.gateway.watch.telemetry import Telemetry
from ganguard.gateway.watch.thresholds import Crossings, out_of_reach
from ganguard.queries.ledger import Balance, Ledger
from ganguard.queries.ledger_database import Database
from ganguard.targets.batching_target import BatchingTarget
from ganguard.targets.load import load_target
from ganguard.targets.protocol import LatentTarget
from ganguard.targets.wire import Served

LOG = logging.getLogger("ganguard.gateway")


class Service:
    """A gateway without HTTP. `close` finishes the requests in progress.

    Args:
        spec: the gateway's spec.
        new_secret: whether to accept another secret than the one that images were bought under.

    Raises InputError if the spec does not work.
    """

    def __init__(self, spec: GatewaySpec, *, new_secret: bool = False) -> None:
        self.spec, self.telemetry = spec, Telemetry()
        self.audited = Audited(Path(spec.risk.results)) if spec.risk else None
        target = load_target(spec.target, spec.compute)
        memory = Memory(target, spec.most_mib)
        self.most_images = min(spec.most_images, memory.most_images)
        self.ledger = Ledger(spec.place())
        self.database = Database(spec.place())
        self._secret = kept_secret(Path(spec.directory), self.database, renewed=new_secret)
        self.keys, self.journal = Keys(self.database), RequestJournal(self.database)
        self.async_keys = AsyncKeys(self.keys)
        self.batching = BatchingTarget(target, spec.batching, self.telemetry.batch)
        self.offers = Offers(spec, self.batching, self._secret)
        self.admission = Admission(spec.batching.most_waiting, memory.most)
        self.orders = OrderProcessor(self.ledger, self._secret)
        rates = Rates(spec, self.admission, self.most_images)
        self.sales = Sales(
            self.offers, self.orders, self.admission, rates, memory, self.journal, self.telemetry
        )
        self._curves: dict[str, Curves] = {}
        self.crossings = Crossings(self.database, spec.risk.thresholds if spec.risk else ())
        for threshold, accounts in self.crossings.counts().items():
            self.telemetry.crossed(threshold, accounts)
        self.ready = False
        self._rehearse()

    def _rehearse(self) -> None:
        """Check that the defences of every class fit the target, before clients may ask."""
        try:
            self.offers.rehearse()
        except BaseException:
            self.close()
            raise
        if said := self.out_of_reach():
            LOG.warning("extraction risk: %s", ". ".join(said))
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
        return self.offers.to(account, class_).target

    def most_of(self, key: Key) -> int:
        """Return the most images that a request under a key may ask for."""
        return min(key.scopes.most_images, self.most_images)

    def served(self, key: Key) -> Served:
        """Return what a key's holder may know about the target."""
        target = self.target_for(key.account, key.class_)
        codes = target.latent_dim if isinstance(target, LatentTarget) and key.scopes.send_latents else None
        return Served(identity=target.identity, image_shape=target.image_shape, latent_dim=codes)

    def classes(self) -> dict[str, str]:
        """Return the class of each account that has a key of a class in the spec."""
        known = {DEFAULT_CLASS, *self.spec.classes}
        return {key.account: key.class_ for key in self.keys.listed() if key.class_ in known}

    def update_risk(self) -> None:
        """Estimate the risk of every account: sets the metrics, and logs thresholds newly reached."""
        classes = self.classes()
        for balance in self.ledger.balances():
            self.risk(balance, classes.get(balance.account, DEFAULT_CLASS))

    def risk(self, balance: Balance, class_: str) -> Risk | None:
        """Estimate how near a copy from an account's images could come.

        Sets the metrics, and logs thresholds newly reached. Returns None if the spec names no audit, or if
        the account has bought nothing.
        """
        if self.audited is None or not balance.reserved:
            return None
        label, curves = self._curves_of(self.audited, class_)
        naive, adaptive = (estimate(curve, balance.reserved) for curve in (curves.naive, curves.adaptive))
        self._report(balance, naive, adaptive)
        return Risk(naive, adaptive, audited=label == "none" or curves.defence is not None)

    def _curves_of(self, audited: Audited, class_: str) -> tuple[str, Curves]:
        """Return the label of a class's defences, and the audit's curves behind them."""
        label = chain_label(self.spec.class_of(class_).defences)
        if label not in self._curves:
            self._curves[label] = audited.curves(label)
        return label, self._curves[label]

    def _report(self, balance: Balance, naive: Estimate, adaptive: Estimate) -> None:
        """Set the metrics, and log each threshold that the account reaches for the first time."""
        self.telemetry.reached(balance.account, "naive", naive.distance)
        self.telemetry.reached(balance.account, "adaptive", adaptive.distance)
        for threshold in self.crossings.note(balance.account, balance.reserved, adaptive):
            self.telemetry.crossed(threshold)
            said = "account %r has bought enough images for a copy at %s, threshold %g"
            LOG.warning(said, balance.account, adaptive, threshold)

    def out_of_reach(self) -> list[str]:
        """Return a sentence for each threshold that is out of reach for accounts of some class."""
        if self.audited is None or self.spec.risk is None:
            return []
        classes = {DEFAULT_CLASS, *self.spec.classes}
        curves = {class_: self._curves_of(self.audited, class_)[1] for class_ in classes}
        return out_of_reach(self.spec.risk.thresholds, curves)
