"""When a request for a condition counts, and how often a ledger asks whether there are conditions."""

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import event

from ganguard.queries.ledger import Ledger
from ganguard.queries.reservation import of_conditions


@pytest.fixture
def ledger(place: str) -> Iterator[Ledger]:
    with Ledger(place) as ledger:
        ledger.open_account("us", 100)
        yield ledger


def counts(ledger: Ledger) -> dict[str, tuple[int, int]]:
    return {found.condition: (found.reserved, found.delivered) for found in ledger.conditions("us")}


def run(ledger: Ledger, statement: str) -> None:
    with ledger._database.transaction("write as it was written once") as connection:
        connection.exec_driver_sql(statement)


def requests(ledger: Ledger) -> dict[str, int]:
    return {found.condition: found.requests for found in ledger.conditions("us")}


def test_a_request_counts_once_its_images_are_delivered(ledger: Ledger) -> None:
    asked = of_conditions(["cat", "dog"], drawn="dog")
    for _ in range(3):
        ledger.reserve("a", "us", 2, "first", asked)
        assert requests(ledger) == {"cat": 0, "dog": 0}
        ledger.release("a")
    ledger.reserve("a", "us", 2, "first", asked)
    for _ in range(2):
        ledger.commit("a")
        assert requests(ledger) == {"cat": 0, "dog": 1}
    ledger.reserve("b", "us", 2, "nobody counts it", of_conditions(["cat", "dog"]))
    ledger.commit("b")
    assert requests(ledger) == {"cat": 0, "dog": 1}
    assert ledger.check({}).problems == ()


def test_a_request_that_counted_with_its_reservation_does_not_count_twice(ledger: Ledger) -> None:
    """So they counted once; such a ledger goes on."""
    for name in "ab":
        ledger.reserve(name, "us", 2, name, of_conditions(["cat"] * 2, drawn="cat"))
    run(ledger, "UPDATE ledger_reserved_conditions SET images = '{\"cat\": 2}'")
    run(ledger, "UPDATE ledger_conditions SET requests = 2")
    ledger.commit("a")
    ledger.release("b")
    assert (counts(ledger), requests(ledger)) == ({"cat": (2, 2)}, {"cat": 2})
    assert ledger.check({}).problems == ()


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
def test_a_ledger_asks_once_a_transaction_whether_there_are_conditions(ledger: Ledger) -> None:
    """And not at all once there are."""

    def asks(do: Callable[[], object]) -> int:
        found = list[str]()

        def executed(_: object, __: object, statement: str, *___: object) -> None:
            found.append(statement)

        engine = ledger._database._engine
        event.listen(engine, "before_cursor_execute", executed)
        try:
            do()
        finally:
            event.remove(engine, "before_cursor_execute", executed)
        return sum("sqlite_master" in statement for statement in found)

    def reserve(names: str, *conditions: str) -> None:
        for name in names:
            ledger.reserve(name, "us", len(conditions) or 1, name, of_conditions(conditions))

    assert asks(lambda: reserve("abcd")) == 0
    assert asks(lambda: ledger.commit_all([(name, None) for name in "abc"])) == 1
    reserve("e", "cat")
    assert asks(lambda: ledger.release("d")) <= 1
    assert asks(lambda: ledger.commit("e")) == asks(lambda: reserve("f", "dog")) == 0
    assert counts(ledger) == {"cat": (1, 1), "dog": (1, 0)}
