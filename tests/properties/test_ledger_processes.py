"""The ledger under real processes that race and that are killed with -9, on both databases."""

import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from postgres_server import PostgresServer

from ganguard.base.errors import BudgetError
from ganguard.queries.ledger import Balance, Ledger

START = """
import sys, time
from pathlib import Path
from sqlalchemy import event
from ganguard.base.errors import BudgetError
from ganguard.queries.ledger import Ledger

place, folder, name = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
"""
RACE = """
(folder / f"ready-{name}").touch()
while len(list(folder.glob("ready-*"))) < 4:
    time.sleep(0.001)
ledger, bought = Ledger(place), 0
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


def _process(code: str, place: str, folder: Path, name: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", START + code, place, str(folder), name]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_processes_that_race_never_exceed_the_budget(place: str, tmp_path: Path) -> None:
    """Four processes make the same ledger and account, and buy from it at once: 14 times 7 images fit, and 2
    more fill it."""
    racers = [_process(RACE, place, tmp_path, str(number)) for number in range(4)]
    try:
        bought = [int(racer.communicate(timeout=120)[0]) for racer in racers]
    finally:
        for racer in racers:
            racer.kill()
    assert [racer.returncode for racer in racers] == [0] * 4
    with Ledger(place) as ledger:
        assert ledger.balance("us") == Balance("us", 100, reserved=100, delivered=98)
    assert sum(bought) == 98


def _connect(place: str) -> Any:
    if "://" in place:
        import psycopg

        return psycopg.connect(place)
    return sqlite3.connect(place, isolation_level=None, check_same_thread=False)


def _waits_for_who_went_before(place: str) -> None:
    """Another process buys 80 of 100 images, and has not ended its transaction when 30 are asked for."""
    with Ledger(place) as ledger, ThreadPoolExecutor() as pool, closing(_connect(place)) as other:
        ledger.open_account("us", 100)
        other.execute("BEGIN IMMEDIATE" if isinstance(other, sqlite3.Connection) else LOCK_ACCOUNT)
        other.execute("INSERT INTO reservations VALUES ('first', 'us', 80, 'reserved', '')")
        other.execute("UPDATE accounts SET reserved = 80")
        asked = pool.submit(ledger.reserve, "second", "us", 30, "")
        assert wait([asked], timeout=0.5).not_done
        other.commit()
        with pytest.raises(BudgetError, match="may buy 20 more"):
            asked.result(timeout=50)


LOCK_ACCOUNT = "SELECT name FROM accounts FOR UPDATE"


def test_a_purchase_waits_for_the_one_before(place: str) -> None:
    _waits_for_who_went_before(place)


def test_it_does_where_the_database_would_show_each_transaction_its_own_moment(
    postgres: PostgresServer,
) -> None:
    """The ledger does not rely on the server's default isolation: a process that waited must see what the
    other bought."""
    place = postgres.database()
    name = place.rpartition("/")[2]
    postgres.execute(f"ALTER DATABASE {name} SET default_transaction_isolation = 'repeatable read'")
    _waits_for_who_went_before(place)


def test_one_id_is_not_granted_to_two_accounts_at_once(place: str) -> None:
    """The second finds no such reservation, and waits on the key while the first ends."""
    with Ledger(place) as ledger, ThreadPoolExecutor() as pool, closing(_connect(place)) as other:
        ledger.open_account("us", 100)
        if isinstance(other, sqlite3.Connection):
            other.execute("BEGIN IMMEDIATE")
        other.execute("INSERT INTO reservations VALUES ('same', 'them', 80, 'reserved', '')")
        asked = pool.submit(ledger.reserve, "same", "us", 30, "")
        assert wait([asked], timeout=0.5).not_done
        other.commit()
        with pytest.raises(BudgetError, match="was made by account 'them' for 80 images"):
            asked.result(timeout=50)


STOP_BEFORE_COMMIT = """
ledger = Ledger(place)

def stop(_connection):
    print("inside", flush=True)
    time.sleep(60)

event.listen(ledger._database._engine, "commit", stop)
ledger.reserve("half", "us", 60, "killed")
"""


def test_one_killed_inside_its_transaction_spent_nothing_and_locks_nobody_out(
    place: str, tmp_path: Path
) -> None:
    with Ledger(place) as ledger:
        ledger.open_account("us", 100)
        victim = _process(STOP_BEFORE_COMMIT, place, tmp_path, "victim")
        assert victim.stdout and victim.stdout.readline() == "inside\n"
        victim.kill()
        victim.communicate()
        began = time.monotonic()
        ledger.reserve("whole", "us", 100, "after")
        assert time.monotonic() - began < 30  # of the 60 s that a lock would cost
        assert ledger.balance("us") == Balance("us", 100, reserved=100, delivered=0)


BUY = """
ledger, log = Ledger(place), (folder / "log").open("a", buffering=1)
for number in range(200):
    ledger.reserve(f"{number}", "us", 3, "killed")
    print("reserved", number, file=log)
    ledger.commit(f"{number}")
    print("delivered", number, file=log)
print("done")
"""


@pytest.mark.slow
def test_one_killed_at_any_moment_goes_on_where_it_was(place: str, tmp_path: Path) -> None:
    """At most one purchase more is reserved than it saw. Started again, it pays for each once."""
    with Ledger(place) as ledger:
        ledger.open_account("us", 600)
        for life in range(3):
            victim = _process(BUY, place, tmp_path, "victim")
            _wait_for_lines(victim, tmp_path / "log", 10 + 7 * life)
            victim.kill()
            victim.communicate()
            said = [line.split() for line in (tmp_path / "log").read_text().splitlines()]
            reserved, delivered = (
                {number for verb, number in said if verb == kind} for kind in ("reserved", "delivered")
            )
            balance = ledger.balance("us")
            assert 0 <= balance.reserved - 3 * len(reserved) <= 3
            assert 0 <= balance.delivered - 3 * len(delivered) <= 3
        last = _process(BUY, place, tmp_path, "last")
        assert last.communicate(timeout=120)[0] == "done\n"
        assert ledger.balance("us") == Balance("us", 600, reserved=600, delivered=600)


def _wait_for_lines(process: subprocess.Popen[str], log: Path, count: int) -> None:
    """Wait until a process has written so many lines more than there were."""
    before = log.read_text().count("\n") if log.exists() else 0
    while process.poll() is None and (not log.exists() or log.read_text().count("\n") < before + count):
        time.sleep(0.002)
