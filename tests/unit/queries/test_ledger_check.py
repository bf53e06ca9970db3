"""What a ledger finds in itself, on SQLite and PostgreSQL."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganguard.base.errors import BudgetError
from ganguard.queries.ledger import Ledger, reservation_id
from ganguard.queries.ledger_database import copy_ledger
from ganguard.queries.reservation import images_asked, sample_words

TARGETS = {"us": {"target"}}


@pytest.fixture
def ledger(place: str) -> Iterator[Ledger]:
    """A ledger of two accounts: one bought twice from a target, the other bought images of codes."""
    with Ledger(place) as ledger:
        ledger.open_account("us", 100)
        ledger.open_account("them", 5)
        for indices in (range(30), range(30, 40)):
            words = sample_words(7, indices)
            ledger.reserve(reservation_id("target", "us", words), "us", len(indices), words)
        ledger.commit(reservation_id("target", "us", sample_words(7, range(30))))
        ledger.reserve("codes", "them", 5, "generate latents=abc")
        yield ledger


def _run(ledger: Ledger, statement: str) -> None:
    with ledger._database.transaction("damage it") as connection:
        connection.exec_driver_sql(statement)


def test_a_sound_ledger_says_what_it_records(ledger: Ledger) -> None:
    found = ledger.check(TARGETS)
    assert found.problems == ()
    assert found.budgets == {"us": 100, "them": 5}
    assert found.reserved == {"us": 40, "them": 5}
    assert {account: found.delivered[account] for account in ("us", "them", "nobody")} == {
        "us": 30,
        "them": 0,
        "nobody": 0,
    }


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        (
            "UPDATE accounts SET budget = 39 WHERE name = 'us'",
            "account 'us' has bought 40 images of a budget of 39",
        ),
        (
            "UPDATE accounts SET reserved = 41 WHERE name = 'us'",
            "account 'us' counts 41 images reserved, 30 delivered; its reservations sum to 40 and 30",
        ),
        (
            "UPDATE accounts SET delivered = 3 WHERE name = 'us'",
            "account 'us' counts 40 images reserved, 3 delivered; its reservations sum to 40 and 30",
        ),
        (
            "DELETE FROM accounts WHERE name = 'them'",
            "a reservation is of the account 'them', which does not exist",
        ),
        (
            "UPDATE reservations SET images = -1 WHERE id = 'codes'",
            "the reservation 'generate latents=abc' of account 'them' counts -1 images",
        ),
        (
            "UPDATE reservations SET images = 11 WHERE images = 10",
            "the reservation 'sample seed=7 indices=30:40' of account 'us' counts 11 images",
        ),
        (
            "UPDATE reservations SET state = 'lost' WHERE id = 'codes'",
            "the reservation 'generate latents=abc' of account 'them' is in the state 'lost'",
        ),
        (
            "UPDATE reservations SET request = 'sample seed=8 indices=30:40' WHERE images = 10",
            "the reservation 'sample seed=8 indices=30:40' of account 'us' was made for another target or "
            "request",
        ),
    ],
)
def test_what_only_ganguard_would_not_write_is_found(ledger: Ledger, statement: str, problem: str) -> None:
    _run(ledger, statement)
    assert problem in ledger.check(TARGETS).problems


def test_an_id_fits_any_target_that_its_account_buys_from(ledger: Ledger) -> None:
    assert ledger.check({"us": {"another", "target"}}).problems == ()
    assert len(ledger.check({"us": {"another"}}).problems) == 2


def test_something_else_than_a_number_is_damage(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.open_account("us", 5)
        _run(ledger, "UPDATE accounts SET budget = 'many'")
        with pytest.raises(BudgetError, match=r"a damaged one \(budget in accounts reads 'many'\)"):
            ledger.check({})


def test_an_index_that_lacks_rows_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with Ledger(path) as ledger:
        ledger.open_account("us", 5)
    with closing(sqlite3.connect(path)) as other, other:
        other.execute("PRAGMA writable_schema = ON")
        other.execute("UPDATE sqlite_master SET rootpage = 1 + rootpage WHERE name LIKE 'ix_%'")
    with pytest.raises(BudgetError, match="a damaged one"), Ledger(path) as ledger:
        ledger.check({})


def test_a_copy_has_what_only_the_log_holds_and_leaves_the_ledger_alone(tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.open_account("us", 5)
        before = sorted(tmp_path.iterdir())
        with Ledger(copy_ledger(tmp_path / "ledger.sqlite", tmp_path / "copy")) as copy:
            assert copy.check({}).budgets == {"us": 5}
        assert sorted(tmp_path.iterdir()) == before


@given(seed=st.integers(0, 2**62), start=st.integers(0, 2**62), count=st.integers(0, 2**62))
def test_the_words_of_a_request_say_how_many_images_it_asks_for(seed: int, start: int, count: int) -> None:
    assert images_asked(sample_words(seed, range(start, start + count))) == count


@pytest.mark.parametrize(
    "words", ["", "sample drawn count=4", "generate latents=0a", "sample seed=0 indices=0:4 by cpu"]
)
def test_other_words_say_nothing(words: str) -> None:
    assert images_asked(words) is None
