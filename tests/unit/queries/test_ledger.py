import gc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ganguard.base.errors import BudgetError, GanguardError, ReservationError
from ganguard.queries.ledger import Balance, Ledger, Purchase, reservation_id
from ganguard.queries.ledger_rows import Reserved, commit


@pytest.fixture
def ledger(place: str) -> Iterator[Ledger]:
    """On SQLite and on PostgreSQL."""
    with Ledger(place) as ledger:
        ledger.open_account("us", 100)
        yield ledger


def test_a_reservation_is_spent_before_it_is_delivered(ledger: Ledger) -> None:
    ledger.reserve("a", "us", 30, "first")
    assert ledger.balance("us") == Balance("us", 100, reserved=30, delivered=0)
    ledger.commit("a")
    assert ledger.balance("us") == Balance("us", 100, reserved=30, delivered=30)


def test_who_reserves_is_told_whether_it_was_so_before(ledger: Ledger) -> None:
    assert ledger.request_of("a") is None
    assert ledger.reserve("a", "us", 60, "first")
    assert not ledger.reserve("a", "us", 60, "first")
    assert ledger.request_of("a") == "first"


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


def test_one_id_is_one_purchase(ledger: Ledger) -> None:
    """Another account or another number of images under the same id is a mistake, not the same request."""
    ledger.open_account("them", 100)
    ledger.reserve("a", "us", 3, "first")
    for account, images in (("them", 3), ("us", 4), ("us", 2)):
        with pytest.raises(
            BudgetError,
            match=r"'a' was made by account 'us' for 3 images; account .* asks for \d under the same",
        ):
            ledger.reserve("a", account, images, "first")
    assert ledger.balance("us").reserved == 3
    assert ledger.balance("them").reserved == 0


def test_what_was_never_reserved_cannot_be_delivered_or_released(ledger: Ledger) -> None:
    for act in (ledger.commit, ledger.release):
        with pytest.raises(BudgetError, match="no reservation 'a' in the ledger"):
            act("a")


def test_what_failed_before_generation_may_be_bought_again(ledger: Ledger) -> None:
    ledger.reserve("a", "us", 100, "first")
    ledger.release("a")
    assert ledger.balance("us").reserved == 0
    ledger.reserve("a", "us", 60, "smaller now")
    assert ledger.balance("us").reserved == 60


def test_what_was_delivered_stays_spent(ledger: Ledger) -> None:
    ledger.reserve("a", "us", 100, "first")
    ledger.commit("a")
    with pytest.raises(BudgetError, match="'a' was delivered, so it stays spent"):
        ledger.release("a")
    assert ledger.balance("us") == Balance("us", 100, reserved=100, delivered=100)


@pytest.mark.parametrize("budget", [-1, 2**63])
def test_a_budget_that_no_account_can_have(ledger: Ledger, budget: int) -> None:
    for act in (ledger.open_account, ledger.ensure_account):
        for account in ("us", "new"):
            with pytest.raises(
                BudgetError, match=rf"account '{account}' must be 0 \.\.\. {2**63 - 1} images; got {budget}"
            ):
                act(account, budget)
    assert ledger.balances() == [Balance("us", 100, 0, 0)]


def test_the_largest_budget_can_be_spent(ledger: Ledger) -> None:
    ledger.ensure_account("us", 2**63 - 1)
    ledger.reserve("a", "us", 2**62, "first")
    ledger.reserve("b", "us", 2**62 - 1, "second")
    ledger.commit("b")
    assert ledger.balance("us") == Balance("us", 2**63 - 1, reserved=2**63 - 1, delivered=2**62 - 1)
    with pytest.raises(BudgetError, match="may buy 0 more"):
        ledger.reserve("c", "us", 2**70, "third")


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
    ledger.open_account("Zoë", 1)
    assert [(b.account, b.reserved) for b in ledger.balances()] == [("Zoë", 0), ("them", 5), ("us", 100)]


def test_an_account_that_is_not_open_is_named(ledger: Ledger) -> None:
    for ask in (lambda: ledger.balance("nobody"), lambda: ledger.reserve("a", "nobody", 1, "first")):
        with pytest.raises(BudgetError, match="no account 'nobody'"):
            ask()


def test_ids_keep_their_parts_apart() -> None:
    parts = [("t", "a", "r"), ("t", "ar", ""), ("ta", "", "r"), ("t", "r", "a"), ("T", "a", "r")]
    assert len({reservation_id(*part) for part in parts}) == len(parts)
    assert reservation_id("t", "a", "r") == reservation_id("t", "a", "r")


def test_two_ledgers_on_one_place_see_each_other(ledger: Ledger, place: str) -> None:
    with Ledger(place) as other:
        other.reserve("a", "us", 80, "first")
        assert ledger.balance("us").reserved == 80
        with pytest.raises(BudgetError, match="may buy 20 more"):
            ledger.reserve("b", "us", 21, "second")
        ledger.reserve("a", "us", 80, "first")
        assert other.balance("us").reserved == 80


def test_what_is_spent_stays_spent_when_the_process_ends(ledger: Ledger, place: str) -> None:
    ledger.reserve("a", "us", 80, "first")
    ledger.close()
    with Ledger(place) as again:
        assert again.balance("us") == Balance("us", 100, 80, 0)


def test_a_ledger_that_nobody_closes_leaves_no_connection(place: str) -> None:
    """psycopg warns of one, and a warning is an error here."""
    Ledger(place).ensure_account("us", 5)
    gc.collect()
    with Ledger(place) as again:
        assert again.balance("us").budget == 5


@pytest.mark.parametrize("folder", ["what?now", "100%", "with space", "a#b"])
def test_the_file_lies_where_it_was_said(tmp_path: Path, folder: str) -> None:
    """A path is not a URL: `?` begins no options here."""
    path = tmp_path / folder / "ledger.db"
    ledger = Ledger(path)
    ledger.open_account("us", 1)
    ledger.close()
    assert path.is_file()
    assert [entry.name for entry in tmp_path.iterdir()] == [folder]


def _said(answers: list[bool | GanguardError]) -> list[bool | str]:
    return [str(answer) if isinstance(answer, GanguardError) else answer for answer in answers]


def test_many_at_once_are_told_what_each_would_be_told_alone(
    ledger: Ledger, new_place: Callable[[], str]
) -> None:
    """Purchases of one account are made in the order asked, and a refusal concerns only its own purchase."""
    purchases = [
        Purchase("a", "us", 60, "first"),
        Purchase("b", "them", 5, "first"),
        Purchase("c", "us", 41, "second"),
        Purchase("a", "us", 60, "first"),
        Purchase("d", "nobody", 1, "first"),
        Purchase("a", "us", 61, "first"),
        Purchase("e", "us", 40, "third"),
    ]
    ledger.open_account("them", 5)
    together = ledger.reserve_all(purchases)
    delivered = ledger.commit_all([(id_, None) for id_ in ("b", "none", "a", "b")])
    with Ledger(new_place()) as other:
        other.open_account("us", 100)
        other.open_account("them", 5)
        alone = [answer for purchase in purchases for answer in other.reserve_all([purchase])]
        delivered_alone = [
            answer for each in ("b", "none", "a", "b") for answer in other.commit_all([(each, None)])
        ]
        assert other.balances() == ledger.balances()
    assert _said(together) == _said(alone)
    assert _said(delivered) == _said(delivered_alone)
    assert [answer for answer in together if isinstance(answer, bool)] == [True, True, False, True]
    assert ledger.balances() == [Balance("them", 5, 5, 5), Balance("us", 100, 100, 60)]


def test_nothing_at_once_is_nothing(ledger: Ledger) -> None:
    assert ledger.reserve_all([]) == []
    assert ledger.commit_all([]) == []


def test_what_was_released_meanwhile_is_not_delivered(ledger: Ledger) -> None:
    """Whoever gives the request is told, also if the id stands for another request by then."""
    ledger.reserve("a", "us", 7, "first")
    ledger.release("a", "first")
    (absent,) = ledger.commit_all([("a", "first")])
    assert isinstance(absent, BudgetError)
    ledger.reserve("a", "us", 3, "second")
    (other,) = ledger.commit_all([("a", "first")])
    assert isinstance(other, ReservationError)
    with pytest.raises(ReservationError, match="another request"):
        ledger.release("a", "first")
    assert ledger.balance("us") == Balance("us", 100, reserved=3, delivered=0)
    assert ledger.commit_all([("a", "second"), ("a", "second")]) == [True, False]
    with pytest.raises(BudgetError, match="was delivered"):
        ledger.release("a", "second")
    assert ledger.balance("us") == Balance("us", 100, reserved=3, delivered=3)


@pytest.mark.parametrize("anew", [None, (2, "second"), (7, "second")])
def test_what_was_read_before_the_account_was_locked_counts_for_nothing(
    ledger: Ledger, anew: tuple[int, str] | None
) -> None:
    """On PostgreSQL a reservation may change between being read and its account being locked."""
    ledger.reserve("a", "us", 7, "first")
    stale = Reserved("us", 7, "first")
    ledger.release("a")
    if anew:
        ledger.reserve("a", "us", *anew)
    before = ledger.balance("us")
    with ledger._database.transaction("deliver") as connection, pytest.raises(BudgetError):
        commit(connection, "a", stale, None, conditions=False)
    assert ledger.balance("us") == before
