"""Who buys from a target: under which account of the ledger, how much for an image, and where the images are
kept."""

import re
from pathlib import Path

from ganguard.audit.spec.adversaries import Averaging
from ganguard.audit.steps.call import Digests, StepCall
from ganguard.audit.steps.target import open_target
from ganguard.base.cache import content_key, tensor_digest, write_json
from ganguard.base.seeds import derived_seed
from ganguard.queries.averaged_target import average
from ganguard.queries.harvest import harvest
from ganguard.queries.ledger import Ledger
from ganguard.queries.metered_target import MeteredTarget, meter
from ganguard.queries.store import Codes, Store
from ganguard.targets.protocol import BlackBoxTarget


def run_purchase(call: StepCall) -> Digests:
    """Buy what the largest budget of this seed allows; a smaller one is a prefix of it."""
    budgets, price = [int(budget) for budget in call.settings["budgets"]], queries_an_image(call)
    target, store = open_to_adversary(call, max(budgets))
    images = harvest(target, store, max(budgets) // price, call.progress)
    write_json(call.directory / "purchase.json", {"account": store.account, "budgets": budgets})
    return {str(budget): tensor_digest({"images": images[: budget // price]}) for budget in budgets}


AUDITOR = "auditor"  # who the auditor is to a defended target


def open_to_adversary(call: StepCall, most: int) -> tuple[BlackBoxTarget, Store]:
    """The target as the adversary of a step meets it, with `most` queries to spend, and where its purchase is
    kept: one account buys from one target, once for all its attacks. Where it averages, an image of the store
    costs `queries_an_image`."""
    seed, codes = int(call.settings["seed"]), call.settings["codes"]
    target = open_target(call.inputs["target"], call.compute, adversary_client(seed))
    averaging = Averaging.model_validate(said) if (said := call.settings.get("averaging")) else None
    account = adversary_account(target.identity, seed, codes, averaging.label() if averaging else None)
    drawn_by = "provider" if averaging else codes  # an average is of several codes, none of which is its own
    directory = call.audit / "purchases" / account
    store = Store(directory, target.identity, account, derived_seed(seed, "purchase"), drawn_by)
    metered = open_metered(call, store, target, most)
    return (average(metered, averaging.copies, averaging.moved) if averaging else metered), store


def queries_an_image(call: StepCall) -> int:
    """How many queries the adversary of a step pays for each image that it trains on."""
    return int(call.settings["averaging"]["copies"]) if "averaging" in call.settings else 1


def auditor_store(audit: Path, target: BlackBoxTarget, draw: int) -> Store:
    """Where the auditor's own draws are kept."""
    account = auditor_account(target.identity, draw)
    return Store(audit / "purchases" / account, target.identity, account, derived_seed(draw, "auditor"))


def open_metered(call: StepCall, store: Store, target: BlackBoxTarget, budget: int) -> MeteredTarget:
    """The target behind the ledger, with at least `budget` images for the store's account."""
    ledger = Ledger(call.audit / "ledger.sqlite")
    ledger.ensure_account(store.account, budget)
    return meter(target, ledger, store.account)


def adversary_client(seed: int) -> str:
    """Who the adversary of a seed is to a defended target."""
    return f"adversary {seed}"


def adversary_account(identity: str, seed: int, codes: Codes, averages: str | None = None) -> str:
    """The account of the adversary who buys from the target of that identity; who averages, by label, has one
    apart."""
    apart = "-" + re.sub(r"[^a-z0-9.]+", "-", averages) if averages else ""
    return f"{_short(identity)}-adversary-{seed}-{codes}{apart}"


def queries_paid(account: str, images: int) -> int:
    """How many queries an adversary's account paid for so many images of its store."""
    found = re.search(r"-averaging-([0-9]+)", account)
    return images * (int(found[1]) if found else 1)


def auditor_account(identity: str, draw: int) -> str:
    """The account of the auditor for one draw."""
    return f"{_short(identity)}-auditor-{draw}"


def _short(identity: str) -> str:
    return content_key(identity=identity)[:8]
