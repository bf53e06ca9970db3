"""The gateway without HTTP: target, queue, defences, ledger, keys, journal and risk, built from a spec."""

import logging
from pathlib import Path
from typing import cast

from ganguard.defences.defended_target import DefendedTarget
from ganguard.gateway.shop.admission import Admission
from ganguard.gateway.shop.databases import Databases
from ganguard.gateway.shop.keys import AsyncKeys, Key, Keys
from ganguard.gateway.shop.memory import Memory
from ganguard.gateway.shop.offers import Offers
from ganguard.gateway.shop.orders import OrderProcessor
from ganguard.gateway.shop.rates import Rates
from ganguard.gateway.shop.sales import Sales
from ganguard.gateway.shop.secret import kept_secret
from ganguard.gateway.spec import GatewaySpec
from ganguard.gateway.watch.journal import RequestJournal
from ganguard.gateway.watch.risk import Audited
from ganguard.gateway.watch.risk_watch import RiskWatch
from ganguard.gateway.watch.telemetry import Telemetry
from ganguard.gateway.watch.usual_codes import Form, watched_form
from ganguard.targets.batching_target import BatchingTarget
from ganguard.targets.conditions import conditions_of
from ganguard.targets.load import load_target
from ganguard.targets.prior import Known, PythonPrior, prior_of
from ganguard.targets.protocol import BlackBoxTarget, LatentTarget, notes_of
from ganguard.targets.wire import ConditionalServed, Served

LOG = logging.getLogger("ganguard.gateway")


class Service:
    """A gateway without HTTP. `close` finishes the requests in progress.

    Args:
        spec: the gateway's spec.
        new_secret: whether to accept another secret than the one that images were bought under.

    Raises InputError if the spec does not work.
    """

    def __init__(self, spec: GatewaySpec, *, new_secret: bool = False) -> None:
        self.spec = spec
        audited = Audited(Path(spec.risk.results)) if spec.risk else None
        target = load_target(spec.target, spec.compute)
        for note in notes_of(target):
            LOG.warning("%s", note)
        conditions = conditions_of(target)
        spec.require_conditions(conditions)
        self.telemetry = Telemetry(conditional=conditions is not None)
        if audited and spec.risk and "another_generator" not in spec.risk.even_if:
            audited.require_of(target.identity)
        memory = Memory(target, spec.most_mib)
        self.most_images = min(spec.most_images, memory.most_images)
        self._databases = Databases(spec)
        self.ledger, self.database = self._databases.ledger, self._databases.database
        self._secret = kept_secret(Path(spec.directory), self.database, renewed=new_secret)
        self.keys = Keys(self.database)
        self.watch = RiskWatch(spec, audited, self.database, self.telemetry, conditions)
        self.journal = RequestJournal(self.database, self.telemetry, _form(target))
        self.async_keys = AsyncKeys(self.keys)
        self.batching = BatchingTarget(target, spec.batching, self.telemetry.batch)
        self.offers = Offers(spec, self.batching, self._secret)
        self.admission = Admission(spec.batching.most_waiting, memory.most)
        self.orders = OrderProcessor(self.ledger, self._secret)
        rates = Rates(spec, self.admission, self.most_images)
        self.sales = Sales(
            self.offers, self.orders, self.admission, rates, memory, self.journal, self.telemetry
        )
        self._rehearse()

    def _rehearse(self) -> None:
        """Check that the defences of every class fit the target, before clients may ask."""
        try:
            self.offers.rehearse()
        except BaseException:
            self.close()
            raise

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
        return self.offers.to(account, class_).target

    def most_of(self, key: Key) -> int:
        """Return the most images that a request under a key may ask for."""
        return min(key.scopes.most_images, self.most_images)

    def served(self, key: Key) -> Served:
        """Return what a key's holder may know about the target."""
        target = self.target_for(key.account, key.class_)
        codes = target.latent_dim if isinstance(target, LatentTarget) and key.scopes.send_latents else None
        prior = prior_of(target)
        said = Served(
            identity=target.identity,
            image_shape=target.image_shape,
            latent_dim=codes,
            prior=None if isinstance(prior, PythonPrior) else cast(Known, prior),
        )
        conditions = conditions_of(target)
        return ConditionalServed(**dict(said), conditions=conditions) if conditions else said


def _form(target: BlackBoxTarget) -> Form | None:
    """Return the form in which the codes of a target's clients are watched; None if they cannot be."""
    if not isinstance(target, LatentTarget):
        return None
    form = watched_form(prior_of(target), target.latent_dim)
    if form is None:
        LOG.warning(
            "codes of this target's own prior show what signs of copying show: no account's codes are watched"
        )
    return form
