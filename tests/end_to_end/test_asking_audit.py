"""An audit whose adversaries send codes of their own choice: what is bought, kept, said and found whole."""

from pathlib import Path

import pytest
import torch
from doctored import NETWORK, run, wrong

from ganguard.queries.store import Store
from ganguard.results.records import read_results

PLAIN = {"kind": "fidelity", "query_budget": 40, **NETWORK}
NARROW = {**PLAIN, "ask": {"prior": {"kind": "truncated", "bound": 0.5}}}


CHOSEN = {**PLAIN, "ask": {"choose": "coreset", "pilot": 15}}
OF_CLASSES = {**NETWORK, "architecture": {"kind": "acgan", "width": 4, "classes": 10}}
WORST = {**PLAIN, **OF_CLASSES, "query_budget": 60, "ask": {"choose": "conditions", "pilot": 40}}


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("audit") / "asking"
    run(directory, codes="client", independent="off", attacks=[PLAIN, NARROW, CHOSEN])
    return directory


def stores(audit: Path) -> list[Store]:
    """Return the stores of the adversaries: the plain one, by a law of its own, and by choice."""
    found = [Store.open(path) for path in (audit / "purchases").glob("*-adversary-*")]
    return sorted(found, key=lambda store: "" if store.ask is None else store.ask.field_of_codes()[::-1])


def test_codes_of_another_law_are_another_purchase(audited: Path) -> None:
    plain, chosen, narrow = stores(audited)
    assert torch.equal(chosen.read_codes(15), plain.read_codes(15))
    assert not torch.equal(chosen.read_codes(40)[15:], plain.read_codes(40)[15:])
    assert narrow.read_codes(40).abs().max() <= 0.5 < plain.read_codes(40).abs().max()
    assert not torch.equal(plain.read(40), narrow.read(40))
    results = read_results(audited)
    bought = [(record.account, record.bought) for record in results.accounts if record.role == "adversary"]
    assert [number for _, number in bought] == [40, 40, 40] and len(dict(bought)) == 3
    assert wrong(audited) == []


def test_the_bought_sets_are_told_apart(audited: Path) -> None:
    results = read_results(audited)
    asks = {m.ask for m in results.select(subject="purchase", against="target")}
    assert asks == {attack.purchase_ask for attack in results.attacks} and len(asks) == 3
    page = (audited / "report.html").read_text()
    assert "with truncated (bound 0.5) codes" in page and "by a coreset of codes after the first 15" in page


def test_who_does_not_ask_so_gets_what_was_had_before(audited: Path, tmp_path: Path) -> None:
    run(tmp_path / "plain", codes="client", independent="off", attacks=[PLAIN])
    before, now = (read_results(path) for path in (tmp_path / "plain", audited))
    assert [m for m in now.measurements if m.ask is None and m.attack in (None, "fidelity dcgan")] == list(
        before.measurements
    )
    keys = {path.name for path in (tmp_path / "plain" / "steps").iterdir()}
    assert keys <= {path.name for path in (audited / "steps").iterdir()} | fits(keys)


def fits(keys: set[str]) -> set[str]:
    """Return the names of steps that know of all attacks, which differ."""
    return {key for key in keys if key.startswith(("fit-", "ready-"))}


def test_classes_that_are_covered_worst_are_a_way_to_ask(tmp_path: Path) -> None:
    target = {"train": {"dataset": "digits", **OF_CLASSES}}
    run(tmp_path, target=target, independent="off", attacks=[WORST])
    (store,) = (Store.open(path) for path in (tmp_path / "purchases").glob("*-adversary-*"))
    assert len(store.read_conditions(60)) == 60 and list((store.directory / "chosen").glob("*40.*"))
    assert read_results(tmp_path).attacks[0].label.endswith("covered worst after the first 40")
    assert wrong(tmp_path) == []
