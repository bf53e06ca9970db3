"""The accounts of the ledger, and the lines of the results that say how many images they bought."""

from collections import Counter
from pathlib import Path

from ganguard.audit.engine.cache import Done
from ganguard.audit.plan.parts import Plan
from ganguard.audit.plan.plan import AUDITOR_DRAWS
from ganguard.audit.plan.step import Step
from ganguard.audit.spec.adversaries import adversary_labels, parse_adversaries
from ganguard.audit.spec.adversary import Asking
from ganguard.audit.spec.scenarios import UNDEFENDED, Scenario
from ganguard.audit.spec.spec import Spec
from ganguard.audit.steps.purchase import ANY_SEED, adversary_account, auditor_account
from ganguard.audit.steps.target_files import read_target
from ganguard.queries.ledger import Ledger
from ganguard.results.records import AccountRecord, AuditResults
from ganguard.targets.ask import UNIFORM, Ask, asked_for

BEFORE = "adversary, bought before this audit"  # the account of images that all seeds share


def account_records(
    plan: Plan, audit: Path, done: dict[str, Done], spec: Spec, *, delivered: bool = False
) -> list[AccountRecord]:
    """Return what the auditor and each adversary bought, behind each defence. No target is opened.

    Args:
        plan: the plan of the audit.
        audit: its directory.
        done: its finished steps, by name.
        spec: its settings, which say who draws codes, and how the auditor asks.
        delivered: count only images that came, rather than all that were asked for: the others may be charged
            when they are asked for again.
    """
    (reserved, again), ground, ask = _reserved(audit, delivered), plan.ground, spec.asks(None)
    records: list[AccountRecord] = []
    for scenario in (UNDEFENDED, *(defended.scenario for defended in ground.defended)):
        target = _identity(ground.target_in(scenario), done)
        drawn_from = _identity(ground.measured_target, done) if scenario == UNDEFENDED else target
        drawn = [auditor_account(drawn_from, draw, ask) for draw in range(AUDITOR_DRAWS)]
        bought = sum(reserved[account] for account in drawn)
        repeated = sum(again[account] for account in drawn)
        records.append(_record("auditor", scenario, None, bought, repeated, ask))
        for purchase in plan.paid():
            buyer = purchase.scenario
            if buyer.defence == scenario.defence:
                seed, whom = (
                    (ANY_SEED, _identity(ground.bought, done)) if ground.bought else (purchase.seed, target)
                )
                account = adversary_account(whom, seed, spec.codes, buyer.asking, purchase.ask)
                found = _record(
                    "adversary", buyer, purchase.seed, reserved[account], again[account], purchase.ask
                )
                records.append(found.model_copy(update={"account": BEFORE}) if ground.bought else found)
    return records


def _reserved(audit: Path, delivered: bool) -> tuple[Counter[str], Counter[str]]:
    """Return how many images the ledger of an audit says were bought, or delivered, by account, and how many
    of them are requests that were sent again."""
    path = audit / "ledger.sqlite"
    if not path.is_file():
        return Counter(), Counter()
    with Ledger(path) as ledger:
        counted = {b.account: b.delivered if delivered else b.reserved for b in ledger.balances()}
        return Counter(counted), Counter() if delivered else ledger.asked_again()


def _identity(target: Step, done: dict[str, Done]) -> str:
    """Return the identity of a target. If it could not be opened, return "": nothing was bought from that."""
    return read_target(done[target.name].directory).identity if target.name in done else ""


def _record(
    role: str, scenario: Scenario, seed: int | None, bought: int, again: int, ask: Ask
) -> AccountRecord:
    who = role
    if seed is not None:
        averages = f"{scenario.who}, " if scenario.who else ""
        who = f"adversary, {averages}seed {seed}{asked_for(ask)}"
    return AccountRecord(
        account=f"{who}, behind {scenario.defence}" if scenario.defence else who,
        role="auditor" if seed is None else "adversary",
        seed=seed,
        defence=scenario.defence,
        adversary=scenario.who,
        bought=bought,
        again=again,
        ask=None if ask.is_uniform else ask.model_dump(mode="json"),
    )


def accounts_of(record: AccountRecord, results: AuditResults) -> set[str]:
    """Return the ledger's accounts that a line of the results sums up."""
    target, ask = results.target, Ask.model_validate(record.ask) if record.ask else UNIFORM
    behind = {defence.label: defence.identity for defence in results.defences}
    if record.role == "adversary":
        if target.bought:
            return {adversary_account(target.bought, ANY_SEED, target.codes, ask=ask)}
        identity = behind.get(record.defence or "", target.identity)
        asking = _asking(record.adversary, results) if record.adversary else None
        return {adversary_account(identity, record.seed or 0, target.codes, asking, ask)}
    drawn_from = target.reference or target.identity
    identity = behind.get(record.defence, target.identity) if record.defence else drawn_from
    return {auditor_account(identity, draw, ask) for draw in range(AUDITOR_DRAWS)}


def _asking(label: str, results: AuditResults) -> Asking | None:
    """Return how the adversary of that label in the spec of the results makes images of several queries."""
    adversaries = parse_adversaries(results.spec["adversaries"])
    found = dict(zip(adversary_labels(adversaries), adversaries, strict=True)).get(label)
    return found.asking() if found else None
