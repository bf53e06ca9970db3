"""Count the images that each account bought, by the ledger."""

from collections import Counter
from pathlib import Path

from ganguard.audit.engine.cache import Done
from ganguard.audit.plan.plan import Plan
from ganguard.audit.plan.planned import AUDITOR_DRAWS, REFERENCE, UNDEFENDED, target_name
from ganguard.audit.spec.spec import Spec
from ganguard.audit.steps.purchase import adversary_account, auditor_account
from ganguard.audit.steps.target import target_identity
from ganguard.queries.ledger import Ledger
from ganguard.queries.store import Codes
from ganguard.results.records import AccountRecord

Bought = dict[tuple[str | None, str | None, int | None], int]


def images_bought(plan: Plan, audit: Path, done: dict[str, Done], codes: Codes) -> Bought:
    """Images that the ledger of `audit` holds, by defence, who averages, and the adversary's seed, None for
    the auditor. It opens no target."""
    reserved = Counter[str]()
    if (audit / "ledger.sqlite").is_file():
        with Ledger(audit / "ledger.sqlite") as ledger:
            reserved.update({balance.account: balance.reserved for balance in ledger.balances()})
    found: Bought = {}
    for situation in (UNDEFENDED, *plan.defended):
        step = target_name(situation)
        identity = target_identity(done[step].directory) if step in done else ""
        drawn = (
            target_identity(done[REFERENCE].directory)
            if REFERENCE in done and situation == UNDEFENDED
            else identity
        )
        found[situation.defence, None, None] = sum(
            reserved[auditor_account(drawn, draw)] for draw in range(AUDITOR_DRAWS)
        )
        for purchase in plan.purchases:
            if purchase.defence == situation.defence:
                account = adversary_account(identity, purchase.seed, codes, purchase.adversary)
                found[situation.defence, purchase.adversary, purchase.seed] = reserved[account]
    return found


def account_records(spec: Spec, audit: Path, done: dict[str, Done], plan: Plan) -> list[AccountRecord]:
    def record(defence: str | None, adversary: str | None, seed: int | None, bought: int) -> AccountRecord:
        who = "auditor" if seed is None else f"adversary, {adversary + ', ' if adversary else ''}seed {seed}"
        account = f"{who}, behind {defence}" if defence else who
        role = "auditor" if seed is None else "adversary"
        return AccountRecord(
            account=account, role=role, seed=seed, defence=defence, adversary=adversary, bought=bought
        )

    return [record(*whose, count) for whose, count in images_bought(plan, audit, done, spec.codes).items()]
