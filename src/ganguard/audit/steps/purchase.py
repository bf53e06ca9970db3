"""Buy images, for an account of the ledger, into a store."""

from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from ganguard.audit.plan.adversary_work import BuyerSettings, PurchaseInputs, PurchaseSettings
from ganguard.audit.spec.adversary import Asking
from ganguard.audit.steps.call import Digests, Kind, StepCall
from ganguard.audit.steps.drawn import Drawn
from ganguard.audit.steps.purchase_files import is_bought, store_directory, write_purchase
from ganguard.audit.steps.target_files import IDENTITY_TELLS, OPENS, open_target
from ganguard.base.cache import content_key
from ganguard.base.labels import labelled_digest
from ganguard.base.seeds import derived_seed
from ganguard.queries.bought_before import bought_before
from ganguard.queries.harvest import harvest
from ganguard.queries.ledger import Ledger
from ganguard.queries.metered_target import MeteredTarget, meter
from ganguard.queries.repeated import said_of_repeated
from ganguard.queries.several_answers import ask_several_times
from ganguard.queries.store import Store
from ganguard.targets.ask import Ask, ask_to_store
from ganguard.targets.protocol import BlackBoxTarget, Codes
from ganguard.targets.repeats import allowed_beside

AUDITOR = "auditor"  # the client that the auditor is to a defended target
ANY_SEED = 0  # of the account that holds images which were bought before, whatever the seeds of the audit


def run_purchase(call: StepCall[PurchaseSettings, PurchaseInputs[Path]]) -> Digests:
    """Buy the images of the largest budget. Those of a smaller budget are the first of them."""
    settings = call.settings
    most = max(settings.budgets)
    price = price_of(settings.asking)
    target, store = open_to_adversary(call, settings, most)
    images = harvest(target, store, most // price, call.progress)
    _say_repeated(call, images)
    write_purchase(call.directory, store.account, len(images))
    asked = store.asked(len(images)) or []
    return {
        str(budget): labelled_digest({"images": images[: budget // price]}, asked=asked[: budget // price])
        for budget in settings.budgets
    }


def price_of(asking: Asking | None) -> int:
    """Return how many queries an image costs.

    asking: how codes are asked for several times; None if each is once.
    """
    return asking.copies if asking and asking.kept == "mean" else 1


class Buys(Protocol):
    """The directories that a step which asks the target reads: of its target, and of images that were bought
    before."""

    @property
    def target(self) -> Path: ...
    @property
    def bought(self) -> Path | None: ...


def open_to_adversary(
    call: StepCall[Any, Buys], buyer: BuyerSettings, most: int
) -> tuple[BlackBoxTarget, Store]:
    """Open the target as an adversary meets it, and the store that keeps its purchase.

    All attacks of an adversary share one account for each target. Images that were bought before are held by
    the adversaries of all seeds: they share one account.

    Args:
        call: the call of the step that asks.
        buyer: its settings.
        most: queries that the account may spend.
    """
    seed, asking, ask, audit = buyer.seed, buyer.asking, buyer.ask, call.audit
    target = open_target(call.inputs.target, call.compute, adversary_client(seed))
    if call.inputs.bought:
        target, seed = bought_before(target, open_target(call.inputs.bought, call.compute)), ANY_SEED
    account = adversary_account(target.identity, seed, buyer.codes, asking, ask)
    # An average may be made of several codes, and what is asked again has its code: the store keeps none.
    drawn_by = "provider" if asking else buyer.codes
    directory, purchase = store_directory(audit, account), derived_seed(seed, "purchase")
    store = Store(
        directory,
        target.identity,
        account,
        purchase,
        drawn_by,
        price_of(asking),
        ask_to_store(target, ask),
    )
    metered = _metered(audit, store, target, most)
    if asking is None:
        return metered, store
    each = asking.kept == "each"
    return ask_several_times(metered, asking.copies, asking.moved, apart=asking.apart, each=each), store


def buy_for_auditor(
    call: StepCall[object, object], target: BlackBoxTarget, draw: int, samples: int, ask: Ask
) -> Drawn:
    """Buy one of the auditor's own draws from a target, with images (samples, C, H, W) uint8."""
    account = auditor_account(target.identity, draw, ask)
    directory, seed = store_directory(call.audit, account), auditor_seed(draw)
    store = Store(directory, target.identity, account, seed, ask=ask_to_store(target, ask))
    images = harvest(_metered(call.audit, store, target, samples), store, samples, call.progress)
    return Drawn.of_names(images, store.asked(samples))


def auditor_seed(draw: int) -> int:
    """Return the seed of one of the auditor's draws, which no adversary's purchase has."""
    return derived_seed(draw, "auditor")


def buy_draws(
    call: StepCall[object, object], target: BlackBoxTarget, draws: int, samples: int, ask: Ask
) -> list[Drawn]:
    """Buy the auditor's first draws from a target, and say if many images of one are the same."""
    bought = [buy_for_auditor(call, target, draw, samples, ask) for draw in range(draws)]
    _say_repeated(call, bought[0].images)
    return bought


def _say_repeated(call: StepCall[Any, Any], images: Tensor) -> None:
    """Tell the person who waits if many of the images that were bought are the same."""
    if said := said_of_repeated(images):
        call.say(said)


def _metered(audit: Path, store: Store, target: BlackBoxTarget, budget: int) -> MeteredTarget:
    """Return the target behind the ledger, and give the store's account a budget of at least `budget`, and
    of what the target may send again."""
    ledger = Ledger(audit / "ledger.sqlite")
    ledger.ensure_account(store.account, budget + allowed_beside(target))
    return meter(target, ledger, store.account)


def adversary_client(seed: int) -> str:
    """Return the client that the adversary of a seed is to a defended target."""
    return f"adversary {seed}"


def adversary_account(
    identity: str, seed: int, codes: Codes, asking: Asking | None = None, ask: Ask | None = None
) -> str:
    """Return the account of an adversary that buys from the target of that identity.

    Args:
        asking: how it asks for codes several times: each way has an account of its own.
        ask: how it asks a conditional target. Each way has an account of its own.
    """
    return f"{_short(identity)}-adversary-{seed}-{codes}{_several(asking)}{_asks(ask)}"


def auditor_account(identity: str, draw: int, ask: Ask | None = None) -> str:
    """Return the account of the auditor for one draw from the target of that identity."""
    return f"{_short(identity)}-auditor-{draw}{_asks(ask)}"


def _several(asking: Asking | None) -> str:
    if asking is None:
        return ""
    if asking.kept == "each":
        return f"-again-{asking.copies}"
    return f"-averaging-{asking.copies}-{asking.moved!r}" + ("-apart" if asking.apart else "")


def _asks(ask: Ask | None) -> str:
    return "" if ask is None or ask.is_uniform else f"-asks-{ask.digest()}"


def _short(identity: str) -> str:
    return content_key(identity=identity)[:8]


BUYS = (
    *OPENS,
    "ganguard.data.parquet",
    "ganguard.queries.harvest",
    "ganguard.queries.choosing",
    "ganguard.queries.judged_ask",
    "ganguard.queries.metered_target",
    "ganguard.queries.sent_codes",
    "ganguard.queries.store",
    "ganguard.audit.steps.purchase",
    "ganguard.audit.steps.purchase_files",
)
"""Code that what is bought depends on."""
NOT_FOLLOWED = {
    **IDENTITY_TELLS,
    "ganguard.queries.repeated:said_of_repeated": "words for the person who waits",
}
"""Where the walk ends for steps that buy."""
PURCHASE = Kind(
    run_purchase,
    code=(
        *BUYS,
        "ganguard.queries.asked_again",
        "ganguard.queries.averaged_target",
        "ganguard.queries.bought_before",
        "ganguard.queries.several_answers",
    ),
    not_followed=NOT_FOLLOWED,
    is_whole=is_bought,
)
