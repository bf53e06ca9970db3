"""What a ledger counts by condition, on SQLite and PostgreSQL: with the whole budget or not at all."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from ganguard.base.errors import BudgetError, GanguardError, ReservationError
from ganguard.queries.ledger import Ledger, Purchase
from ganguard.queries.ledger_conditions import LONGEST, ConditionBudgetError, ledger_name
from ganguard.queries.metered_target import meter
from ganguard.queries.reservation import OfCondition, of_conditions
from ganguard.targets.conditions import Conditions


@pytest.fixture
def ledger(place: str) -> Iterator[Ledger]:
    with Ledger(place) as ledger:
        ledger.open_account("us", 100)
        yield ledger


def of(ledger: Ledger, account: str = "us") -> dict[str, tuple[int | None, int, int]]:
    return {
        found.condition: (found.budget, found.reserved, found.delivered)
        for found in ledger.conditions(account)
    }


def test_images_count_by_condition(ledger: Ledger) -> None:
    assert of(ledger) == {}
    asked = of_conditions(["cat", "dog", "cat"])
    assert ledger.reserve("a", "us", 3, "first", asked)
    assert not ledger.reserve("a", "us", 3, "first", asked)
    assert of(ledger) == {"cat": (None, 2, 0), "dog": (None, 1, 0)}
    ledger.reserve("b", "us", 4, "second", of_conditions(["cat"] * 4))
    for _ in range(2):
        ledger.commit("a")
    assert of(ledger) == {"cat": (None, 6, 2), "dog": (None, 1, 1)}
    ledger.release("b")
    assert of(ledger) == {"cat": (None, 2, 2), "dog": (None, 1, 1)}
    ledger.reserve("c", "us", 5, "of no condition")
    ledger.commit("c")
    assert ledger.balance("us").reserved == 8
    assert of(ledger) == {"cat": (None, 2, 2), "dog": (None, 1, 1)}
    assert ledger.check({}).problems == ()


def test_a_budget_of_a_condition_is_spent_to_the_last_image(ledger: Ledger) -> None:
    ledger.open_condition("us", "cat", 5)
    ledger.reserve("a", "us", 4, "first", of_conditions(["cat"] * 3 + ["dog"]))
    with pytest.raises(BudgetError, match="may buy 2 more of its budget of 5 images of 'cat'; asked for 3"):
        ledger.reserve("b", "us", 13, "second", of_conditions(["dog"] * 10 + ["cat"] * 3))
    assert ledger.balance("us").reserved == 4
    assert of(ledger) == {"cat": (5, 3, 0), "dog": (None, 1, 0)}
    ledger.reserve("b", "us", 2, "third", of_conditions(["cat"] * 2))
    ledger.release("a")
    ledger.reserve("c", "us", 3, "fourth", of_conditions(["cat"] * 3))
    assert of(ledger)["cat"] == (5, 5, 0)


def test_the_whole_budget_bounds_conditions_too(ledger: Ledger) -> None:
    ledger.open_condition("us", "cat", 1000)
    with pytest.raises(BudgetError, match="of its budget of 100 images; asked for 101"):
        ledger.reserve("a", "us", 101, "first", of_conditions(["cat"] * 101))
    assert of(ledger) == {"cat": (1000, 0, 0)}


def test_a_budget_that_a_purchase_brings_holds_unless_the_account_has_its_own(ledger: Ledger) -> None:
    def asked(count: int) -> tuple[OfCondition, ...]:
        return of_conditions(["cat"] * count, {"cat": 3, "dog": 0})

    ledger.reserve("a", "us", 3, "first", asked(3))
    with pytest.raises(ConditionBudgetError, match="may buy 0 more of its budget of 3") as refused:
        ledger.reserve("b", "us", 1, "second", asked(1))
    assert (refused.value.budget, refused.value.spent, refused.value.left) == (3, 3, 0)
    with pytest.raises(ConditionBudgetError, match="may buy 0 more of its budget of 0 images of 'dog'"):
        ledger.reserve("b", "us", 1, "second", of_conditions(["dog"], {"dog": 0}))
    ledger.open_condition("us", "cat", 4)
    ledger.reserve("b", "us", 1, "second", asked(1))
    ledger.open_condition("us", "cat", None)
    with pytest.raises(ConditionBudgetError, match="may buy 0 more of its budget of 3"):
        ledger.reserve("c", "us", 1, "third", asked(1))
    assert not ledger.reserve("b", "us", 1, "second", asked(1))  # what is paid stays so


def test_a_budget_is_not_lowered_below_what_is_spent_of_a_condition(ledger: Ledger) -> None:
    ledger.reserve("a", "us", 3, "first", of_conditions(["cat"] * 3))
    with pytest.raises(BudgetError, match="has bought 3 images of 'cat'; their budget cannot become 2"):
        ledger.open_condition("us", "cat", 2)
    assert of(ledger) == {"cat": (None, 3, 0)}
    ledger.open_condition("us", "cat", 3)
    for account, budget, said in (
        ("us", -1, "must be 0"),
        ("us", 2**63, "must be 0"),
        ("them", 3, "no account"),
    ):
        with pytest.raises(BudgetError, match=said):
            ledger.open_condition(account, "cat", budget)
    assert of(ledger) == {"cat": (3, 3, 0)}


def test_what_is_refused_among_others_changes_nothing(ledger: Ledger) -> None:
    ledger.open_condition("us", "cat", 3)
    wanted = [
        Purchase(name, "us", count, name, of_conditions(["cat"] * count + ["dog"] * 0))
        for name, count in (("a", 2), ("b", 2), ("c", 1))
    ]
    answers = ledger.reserve_all(wanted)
    assert [isinstance(answer, GanguardError) for answer in answers] == [False, True, False]
    assert of(ledger) == {"cat": (3, 3, 0)}
    assert ledger.balance("us").reserved == 3
    with pytest.raises(ReservationError):
        ledger.reserve("a", "us", 3, "a", of_conditions(["dog"] * 3))
    assert of(ledger) == {"cat": (3, 3, 0)}
    assert ledger.check({}).problems == ()


def test_accounts_do_not_share_a_condition(ledger: Ledger) -> None:
    ledger.open_account("them", 9)
    ledger.open_condition("us", "cat", 2)
    ledger.reserve("a", "them", 9, "first", of_conditions(["cat"] * 9))
    ledger.reserve("b", "us", 2, "second", of_conditions(["cat"] * 2))
    assert [(found.account, found.reserved) for found in ledger.conditions()] == [("them", 9), ("us", 2)]


def test_many_at_once_spend_no_more_than_the_budget_of_a_condition(place: str) -> None:
    refused = list[GanguardError]()

    def buy(name: str) -> None:
        with Ledger(place) as ledger:
            for n in range(4):
                try:
                    ledger.reserve(f"{name}{n}", "us", 3, f"{name}{n}", of_conditions(["cat", "cat", "dog"]))
                    ledger.commit(f"{name}{n}")
                except BudgetError as problem:
                    refused.append(problem)

    with Ledger(place) as ledger:
        ledger.open_account("us", 100)
        ledger.open_condition("us", "cat", 15)
        threads = [threading.Thread(target=buy, args=(name,)) for name in "abc"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert of(ledger) == {"cat": (15, 14, 14), "dog": (None, 7, 7)}
        assert len(refused) == 12 - 7
        assert ledger.check({}).problems == ()


NAMES = ["x" * 5000, "x" * 4999 + "y", "\U0001f989" * 100, "a\x00b", "a\ufffdb", "'; DROP", "", "\n", "é"]


def test_any_name_is_a_condition_of_its_own(ledger: Ledger) -> None:
    ledger.reserve("a", "us", len(NAMES), "first", of_conditions(NAMES))
    assert {found.condition for found in ledger.conditions("us")} == {ledger_name(name) for name in NAMES}
    assert len(of(ledger)) == len(NAMES)
    assert max(len(name.encode()) for name in of(ledger)) <= LONGEST + 10
    assert of(ledger)["é"] == (None, 1, 0)
    ledger.commit("a")
    assert ledger.check({}).problems == ()


def test_a_ledger_of_before_opens_as_it_is_and_counts_from_then_on(place: str) -> None:
    """The tables of conditions are made when they are needed; reading makes none."""
    with Ledger(place) as ledger:
        ledger.open_account("us", 10)
        ledger.reserve("a", "us", 3, "first")
        assert ledger.conditions() == []
        assert ledger.check({}).problems == ()
    with Ledger(place) as ledger:
        with ledger._database.reading("see") as connection:
            assert not connection.dialect.has_table(connection, "ledger_conditions")
        ledger.commit("a")
        ledger.reserve("b", "us", 3, "second", of_conditions(["cat"] * 3))
        ledger.reserve("c", "us", 4, "third")
        ledger.release("c")
    with Ledger(place) as ledger:
        assert of(ledger) == {"cat": (None, 3, 0)}
        assert ledger.balance("us").reserved == 6
        assert ledger.check({}).problems == ()


def _run(ledger: Ledger, statement: str) -> None:
    with ledger._database.transaction("damage it") as connection:
        connection.exec_driver_sql(statement)


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        (
            "UPDATE ledger_conditions SET budget = 1 WHERE condition = 'cat'",
            "2 images of 'cat' of account 'us' were bought, of a budget of 1",
        ),
        (
            "UPDATE ledger_conditions SET reserved = 3 WHERE condition = 'cat'",
            "images of 'cat' of account 'us' count 3 as reserved, 2 as delivered; its reservations sum to 2 "
            "and 2",
        ),
        (
            "UPDATE ledger_conditions SET delivered = 0 WHERE condition = 'dog'",
            "images of 'dog' of account 'us' count 1 as reserved, 0 as delivered; its reservations sum to 1 "
            "and 1",
        ),
        (
            "UPDATE ledger_conditions SET requests = 0 WHERE condition = 'cat'",
            "images of 'cat' of account 'us' count 0 requests; 1 of its reservations were delivered",
        ),
        (
            "DELETE FROM ledger_conditions WHERE condition = 'dog'",
            "images of 'dog' are not counted for account 'us'",
        ),
        (
            "UPDATE ledger_conditions SET account = 'them' WHERE condition = 'dog'",
            "images of 'dog' are of the account 'them', which does not exist",
        ),
        (
            "DELETE FROM reservations",
            "conditions are noted of the reservation 'a', which does not exist",
        ),
        (
            "UPDATE ledger_reserved_conditions SET images = '{\"cat\": 2}'",
            "the reservation 'first' of account 'us' counts 3 images, and 2 by condition",
        ),
    ],
)
def test_what_is_wrong_among_conditions_is_found(ledger: Ledger, statement: str, problem: str) -> None:
    ledger.reserve("a", "us", 3, "first", of_conditions(["cat", "dog", "cat"], drawn="cat"))
    ledger.commit("a")
    assert ledger.check({}).problems == ()
    _run(ledger, statement)
    assert problem in ledger.check({}).problems


NO_CONDITIONS = ["", "[]", '{"cat": -2}', '{"cat": "2"}', '{"cat": true}']
NO_REQUESTS = [
    '[{"cat": 3}]',
    '[{"cat": 3}, "dog"]',
    '[{"cat": 3}, ["cat"]]',
    '[{"cat": 3}, null]',
    '["cat", 3]',
]


@pytest.mark.parametrize("images", [*NO_CONDITIONS, *NO_REQUESTS])
def test_conditions_that_are_none_are_damage(ledger: Ledger, images: str) -> None:
    ledger.reserve("a", "us", 3, "first", of_conditions(["cat"] * 3))
    _run(ledger, f"UPDATE ledger_reserved_conditions SET images = '{images}'")
    for ask in (lambda: ledger.release("a"), lambda: ledger.commit("a"), lambda: ledger.check({})):
        with pytest.raises(BudgetError, match="damaged"):
            ask()
    assert ledger.balance("us").delivered == 0


def test_a_stranger_s_table_is_not_taken_for_ours(place: str) -> None:
    with Ledger(place) as ledger:
        _run(ledger, "CREATE TABLE ledger_reserved_conditions (dish VARCHAR)")
    with pytest.raises(BudgetError, match="needs a table 'ledger_conditions' with columns"):
        Ledger(place)


class _Target:
    identity, image_shape, latent_dim = "of three", (1, 2, 2), 4
    conditions = Conditions(names=("cat", "dog", "owl"))

    def sample(self, indices: range, *, seed: int, conditions: Any = None) -> torch.Tensor:
        return torch.zeros(len(indices), 1, 2, 2, dtype=torch.uint8)

    def draw_latents(self, indices: range, *, seed: int) -> torch.Tensor:
        return torch.zeros(len(indices), 4)

    def generate(self, latents: torch.Tensor, *, conditions: Any = None) -> torch.Tensor:
        return torch.zeros(len(latents), 1, 2, 2, dtype=torch.uint8)


def test_a_meter_counts_what_it_is_asked_for(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.open_account("us", 100)
        ledger.open_condition("us", "owl", 2)
        target: Any = meter(_Target(), ledger, "us")
        target.sample(range(4), seed=0, conditions=torch.tensor([0, 2, 0, 1]))
        target.generate(torch.zeros(2, 4), conditions=torch.tensor([2, 1]))
        assert of(ledger) == {"cat": (None, 2, 2), "dog": (None, 2, 2), "owl": (2, 2, 2)}
        with pytest.raises(BudgetError, match="images of 'owl'"):
            target.sample(range(4, 6), seed=0, conditions=torch.tensor([0, 2]))
        assert ledger.balance("us").reserved == 6
