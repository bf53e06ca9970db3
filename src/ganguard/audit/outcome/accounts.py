"""Count the images that each account bought, by the ledger."""

from collections import Counter
from pathlib import Path

from ganguard.audit.engine.cache import Done
from ganguard.audit.plan.parts import Plan
from ganguard.audit.plan.plan import AUDITOR_DRAWS
from ganguard.audit.plan.step import Step
from ganguard.audit.spec.scenarios import UNDEFENDED, Scenario
from ganguard.audit.steps.purchase import adversary_account, auditor_account
from ganguard.audit.steps.target import read_target
from ganguard.queries.ledger import Ledger
from ganguard.queries.store import Codes
from ganguard.results.records import AccountRecord


def account_records(plan: Plan, audit: Path, done: dict[str, Done], codes: Codes) -> list[AccountRecord]:
    """Return what the auditor and each adversary bought, behind each defence. No target is opened."""
    reserved = _reserved(audit)
    ground = plan.ground
    records: list[AccountRecord] = []
    for scenario in (UNDEFENDED, *(defended.scenario for defended in ground.defended)):
        bought_from = ground.target_in(scenario)
        drawn_from = ground.measured_target if scenario == UNDEFENDED else bought_from
        accounts = [auditor_account(_identity(drawn_from, done), draw) for draw in range(AUDITOR_DRAWS)]
        drawn = sum(reserved[account] for account in accounts)
        records.append(_record("auditor", scenario, None, drawn))
        for purchase in plan.purchases:
            if purchase.scenario.defence == scenario.defence:
                account = adversary_account(
                    _identity(bought_from, done), purchase.seed, codes, purchase.scenario.averaging
                )
                bought = reserved[account]
                records.append(_record("adversary", purchase.scenario, purchase.seed, bought))
    return records


def _reserved(audit: Path) -> Counter[str]:
    """Return the images that the ledger of an audit holds, by account."""
    path = audit / "ledger.sqlite"
    if not path.is_file():
        return Counter()
    with Ledger(path) as ledger:
        return Counter({balance.account: balance.reserved for balance in ledger.balances()})


def _identity(target: Step, done: dict[str, Done]) -> str:
    """Return the identity of a target; of one that could not be opened, an identity that bought nothing."""
    return read_target(done[target.name].directory).identity if target.name in done else ""


def _record(role: str, scenario: Scenario, seed: int | None, bought: int) -> AccountRecord:
    who = role
    if seed is not None:
        averages = f"{scenario.who}, " if scenario.who else ""
        who = f"adversary, {averages}seed {seed}"
    return AccountRecord(
        account=f"{who}, behind {scenario.defence}" if scenario.defence else who,
        role="auditor" if seed is None else "adversary",
        seed=seed,
        defence=scenario.defence,
        adversary=scenario.who,
        bought=bought,
    )
