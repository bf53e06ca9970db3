import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ganguard.base.errors import BudgetError
from ganguard.queries.ledger import Balance, Ledger, reservation_id


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(tmp_path / "deep" / "ledger.db")
    ledger.open_account("us", 100)
    yield ledger
    ledger.close()


def test_a_reservation_is_spent_before_it_is_delivered(ledger: Ledger) -> None:
    ledger.reserve("a", "us", 30, "first")
    assert ledger.balance("us") == Balance("us", 100, reserved=30, delivered=0)
    ledger.commit("a")
    assert ledger.balance("us") == Balance("us", 100, reserved=30, delivered=30)


def test_one_id_counts_once(ledger: Ledger) -> None:
    for _ in range(3):
        ledger.reserve("a", "us", 60, "first")
        ledger.commit("a")
        ledger.reserve("a", "us", 60, "first")
    assert ledger.balance("us") == Balance("us", 100, reserved=60, delivered=60)


def test_the_budget_can_be_spent_to_the_last_image_and_no_further(ledger: Ledger) -> None:
    ledger.reserve("a", "us", 70, "first")
    with pytest.raises(BudgetError, match=r"may buy 30 more of its budget of 100 images; asked for 31"):
        ledger.reserve("b", "us", 31, "second")
    assert ledger.balance("us").reserved == 70
    ledger.reserve("b", "us", 30, "second")
    with pytest.raises(BudgetError, match="may buy 0 more"):
        ledger.reserve("c", "us", 1, "third")


def test_what_was_refused_may_be_asked_for_again_with_a_larger_budget(ledger: Ledger) -> None:
    with pytest.raises(BudgetError):
        ledger.reserve("a", "us", 150, "first")
    ledger.open_account("us", 150)
    ledger.reserve("a", "us", 150, "first")
    assert ledger.balance("us").reserved == 150


@pytest.mark.parametrize("images", [-5, -100])
def test_a_negative_purchase_would_be_a_gift(ledger: Ledger, images: int) -> None:
    with pytest.raises((BudgetError, ValueError)):
        ledger.reserve("a", "us", images, "refund")
    assert ledger.balance("us").reserved == 0


def test_a_budget_is_not_lowered_below_what_is_spent(ledger: Ledger) -> None:
    ledger.reserve("a", "us", 40, "first")
    with pytest.raises(BudgetError, match="has bought 40 images; its budget cannot become 39"):
        ledger.open_account("us", 39)
    assert ledger.balance("us").budget == 100
    ledger.open_account("us", 40)
    assert ledger.balance("us").budget == 40


def test_accounts_do_not_share(ledger: Ledger) -> None:
    ledger.open_account("them", 5)
    ledger.reserve("a", "us", 100, "first")
    ledger.reserve("b", "them", 5, "second")
    assert [(b.account, b.reserved) for b in ledger.balances()] == [("them", 5), ("us", 100)]


def test_an_account_that_is_not_open_is_named(ledger: Ledger) -> None:
    for ask in (lambda: ledger.balance("nobody"), lambda: ledger.reserve("a", "nobody", 1, "first")):
        with pytest.raises(BudgetError, match="no account 'nobody'"):
            ask()


def test_ids_keep_their_parts_apart() -> None:
    parts = [("t", "a", "r"), ("t", "ar", ""), ("ta", "", "r"), ("t", "r", "a"), ("T", "a", "r")]
    assert len({reservation_id(*part) for part in parts}) == len(parts)
    assert reservation_id("t", "a", "r") == reservation_id("t", "a", "r")


def test_two_ledgers_on_one_file_see_each_other(ledger: Ledger, tmp_path: Path) -> None:
    other = Ledger(tmp_path / "deep" / "ledger.db")
    other.reserve("a", "us", 80, "first")
    assert ledger.balance("us").reserved == 80
    with pytest.raises(BudgetError, match="may buy 20 more"):
        ledger.reserve("b", "us", 21, "second")
    ledger.reserve("a", "us", 80, "first")
    assert other.balance("us").reserved == 80
    other.close()


def test_what_is_spent_stays_spent_when_the_process_ends(ledger: Ledger, tmp_path: Path) -> None:
    ledger.reserve("a", "us", 80, "first")
    ledger.close()
    again = Ledger(tmp_path / "deep" / "ledger.db")
    assert again.balance("us") == Balance("us", 100, 80, 0)
    again.close()


@pytest.mark.parametrize("folder", ["what?now", "100%", "with space", "a#b"])
def test_the_file_lies_where_it_was_said(tmp_path: Path, folder: str) -> None:
    """A path is not a URL: `?` begins no options here."""
    path = tmp_path / folder / "ledger.db"
    ledger = Ledger(path)
    ledger.open_account("us", 1)
    ledger.close()
    assert path.is_file()
    assert [entry.name for entry in tmp_path.iterdir()] == [folder]


def test_what_is_no_ledger_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_bytes(b"my notes " * 1000)
    with pytest.raises(BudgetError, match=r"ledger\.db: not a ledger that can be opened"):
        Ledger(tmp_path / "ledger.db")
    assert (tmp_path / "ledger.db").read_bytes() == b"my notes " * 1000


BUY_ALL = """
import sys
from pathlib import Path
from ganguard.base.errors import BudgetError
from ganguard.queries.ledger import Ledger

ledger, name, bought = Ledger(Path(sys.argv[1])), sys.argv[2], 0
ledger.open_account("us", 100)
for number in range(20):
    try:
        ledger.reserve(f"{name}/{number}", "us", 7, "race")
        bought += 7
        ledger.commit(f"{name}/{number}")
    except BudgetError:
        break
ledger.reserve("shared", "us", 2, "race")
print(bought)
"""


def test_processes_that_race_never_exceed_the_budget(tmp_path: Path) -> None:
    """Four processes create the same file and buy from one account; 14 sevens fit, and one shared 2 fills it to the brim."""
    command = [sys.executable, "-c", BUY_ALL, str(tmp_path / "ledger.db")]
    racers = [subprocess.Popen([*command, str(number)], stdout=subprocess.PIPE, text=True) for number in range(4)]
    bought = [int(racer.communicate(timeout=60)[0]) for racer in racers]
    assert [racer.returncode for racer in racers] == [0] * 4
    ledger = Ledger(tmp_path / "ledger.db")
    assert ledger.balance("us") == Balance("us", 100, reserved=100, delivered=98)
    ledger.close()
    assert sum(bought) == 98
