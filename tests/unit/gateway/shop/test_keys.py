"""Keys: made once, kept as digests, ended; and the verb that does it."""

import json
import re
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import anyio
import pytest

from ganguard.base.errors import SpecError
from ganguard.gateway.refusals import ProblemError
from ganguard.gateway.shop.keys import KNOWN_AT_ONCE, STRANGERS_AT_ONCE, AsyncKeys, Keys
from ganguard.gateway.spec import read_gateway_spec
from ganguard.queries.ledger import Ledger
from ganguard.queries.ledger_database import Database
from ganguard.targets.wire import Scopes


@pytest.fixture
def keys(tmp_path: Path) -> Iterator[Keys]:
    database = Database(tmp_path / "ledger.sqlite")
    yield Keys(database)
    database.close()


def test_a_key_is_known_by_its_secret_alone(keys: Keys, tmp_path: Path) -> None:
    scopes = Scopes(send_latents=True, most_images=7)
    text, made = keys.create("us", "default", scopes)
    assert re.fullmatch(r"gg_[0-9a-f]{16}_[0-9a-f]{64}", text)
    assert keys.check(text) == made
    assert made.scopes == scopes
    assert keys.check(text[:-4] + "0000") is None
    assert keys.check(text.upper()) is None
    assert keys.check(text + "\n") is None
    held = sqlite3.connect(tmp_path / "ledger.sqlite")
    dump = "\n".join(held.iterdump())
    held.close()
    assert made.id in dump
    assert text.split("_")[2] not in dump


def test_a_revoked_key_is_no_key(keys: Keys) -> None:
    text, made = keys.create("us", "default", Scopes())
    other, _ = keys.create("us", "default", Scopes())
    keys.revoke(made.id)
    assert keys.check(text) is None
    assert keys.check(other) is not None
    assert [key.revoked for key in keys.listed()] == [True, False]
    with pytest.raises(SpecError, match="no key"):
        keys.revoke("0" * 16)


def test_another_process_ends_a_key_within_its_time(
    keys: Keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, made = keys.create("us", "default", Scopes())
    assert keys.check(text)
    there = Database(tmp_path / "ledger.sqlite")
    Keys(there).revoke(made.id)
    there.close()
    monkeypatch.setattr("ganguard.gateway.shop.keys.FRESH", 0.0)
    assert keys.check(text) is None


def test_an_account_is_of_one_class(keys: Keys) -> None:
    keys.create("us", "default", Scopes())
    with pytest.raises(SpecError, match="of class 'default'"):
        keys.create("us", "gold", Scopes())


@pytest.mark.parametrize("account", ["", " us", "us ", "a\nb", "é", "x" * 81])
def test_a_name_is_short_and_printable(keys: Keys, account: str) -> None:
    with pytest.raises(SpecError, match="printable"):
        keys.create(account, "default", Scopes())


Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def spec(tmp_path: Path, generator: Path) -> str:
    path = tmp_path / "gateway.yaml"
    path.write_text(f"target: {{checkpoint: {generator}}}\ndirectory: {tmp_path / 'state'}\n")
    return str(path)


def test_the_verb_makes_lists_and_ends_keys(cli: Cli, spec: str) -> None:
    code, out, err = cli("keys", "create", spec, "--account", "us", "--budget", "10", "--choose-seed")
    assert (code, err) == (0, "")
    id_ = out.split("_")[1]
    said = json.loads(cli("keys", "list", spec)[1])
    assert [(key["id"], key["scopes"]["choose_seed"], key["revoked"]) for key in said["keys"]] == [
        (id_, True, False)
    ]
    assert said["accounts"] == [{"account": "us", "budget": 10, "reserved": 0, "delivered": 0}]
    assert out.strip().split("_")[2] not in json.dumps(said)
    assert cli("keys", "set-budget", spec, "--account", "us", "--budget", "20")[1].endswith(
        "0 of 20 images.\n"
    )
    assert cli("keys", "revoke", spec, id_)[0] == 0
    assert json.loads(cli("keys", "list", spec)[1])["keys"][0]["revoked"] is True


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("create", "SPEC", "--account", "us", "--class", "gold"), "no class of accounts 'gold'"),
        (("create", "nowhere.yaml", "--account", "us"), "nowhere.yaml: cannot be read"),
        (("revoke", "SPEC", "0000"), "no key '0000'"),
        (("set-budget", "SPEC", "--account", "nobody", "--budget", "1"), "no account 'nobody'"),
        (("create", "SPEC"), "--account"),
    ],
)
def test_a_mistake_is_one_line(cli: Cli, spec: str, arguments: tuple[str, ...], said: str) -> None:
    code, out, err = cli("keys", *(spec if part == "SPEC" else part for part in arguments))
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert said in err


def test_a_call_that_fails_changes_no_account(cli: Cli, spec: str) -> None:
    Path(spec).write_text(Path(spec).read_text() + "classes: {rated: {}}\n")
    assert cli("keys", "create", spec, "--account", "bob", "--budget", "10")[0] == 0
    before = json.loads(cli("keys", "list", spec)[1])
    for account, class_ in (
        ("bob", "rated"),
        (" mallory", "default"),
        ("m\u00e4llory", "default"),
        ("m" * 81, "default"),
    ):
        code, out, err = cli(
            "keys", "create", spec, "--account", account, "--class", class_, "--budget", "99"
        )
        assert (code, out, err.count("\n")) == (2, "", 1)
    assert json.loads(cli("keys", "list", spec)[1]) == before


@pytest.mark.parametrize("budget", ["4", "9", "11", "0"])
def test_another_budget_is_refused_and_nothing_is_made(cli: Cli, spec: str, budget: str) -> None:
    assert cli("keys", "create", spec, "--account", "bob", "--budget", "10")[0] == 0
    with Ledger(read_gateway_spec(spec, []).place()) as ledger:
        ledger.reserve("r", "bob", 5, "five")
    before = json.loads(cli("keys", "list", spec)[1])
    code, out, err = cli("keys", "create", spec, "--account", "bob", "--budget", budget)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "`ganguard keys set-budget`" in err
    assert json.loads(cli("keys", "list", spec)[1]) == before
    for same in ((), ("--budget", "10")):
        assert cli("keys", "create", spec, "--account", "bob", *same)[0] == 0
    said = json.loads(cli("keys", "list", spec)[1])
    assert [key["revoked"] for key in said["keys"]] == [False] * 3
    assert said["accounts"] == [{"account": "bob", "budget": 10, "reserved": 5, "delivered": 0}]


def test_a_new_account_has_no_budget_unless_it_is_given(cli: Cli, spec: str) -> None:
    assert cli("keys", "create", spec, "--account", "bob")[0] == 0
    assert cli("keys", "create", spec, "--account", "bob", "--budget", "0")[0] == 0
    code, _, err = cli("keys", "create", spec, "--account", "bob", "--budget", "7")
    assert (code, "has a budget of 0 images, not 7" in err) == (2, True)


def test_of_many_who_open_an_account_at_once_one_sets_its_budget(keys: Keys, tmp_path: Path) -> None:
    """The others are refused, unless they mean the same budget; each leaves a key or nothing."""
    databases = [Database(tmp_path / "ledger.sqlite") for _ in range(8)]
    makers = [Keys(database) for database in databases]

    def make(number: int) -> int | None:
        try:
            makers[number].create("us", "default", Scopes(), 100 + number // 2)
        except SpecError:
            return None
        return 100 + number // 2

    with ThreadPoolExecutor(8) as at_once:
        set_ = [budget for budget in at_once.map(make, range(8)) if budget]
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        assert {*set_} == {ledger.balance("us").budget}
    assert len(set_) == 2
    assert len(keys.listed()) == 2
    for database in databases:
        database.close()


@pytest.mark.parametrize(("seen", "at_once"), [(True, KNOWN_AT_ONCE), (False, STRANGERS_AT_ONCE)])
def test_nobody_waits_for_many_look_ups_of_a_database_that_hangs(
    monkeypatch: pytest.MonkeyPatch, seen: bool, at_once: int
) -> None:
    """Forty clients waited for up to 30 s: one after the other for a look-up that took 5 s."""
    monkeypatch.setattr("ganguard.gateway.shop.keys.LONGEST_QUEUE", 0.1)
    answers, statuses = threading.Event(), list[int]()

    class Hung:
        def seen(self, shown: str) -> tuple[bool, bool]:
            return seen, False

        def check(self, shown: str) -> None:
            assert answers.wait(30)

    async def crowd() -> None:
        checked = AsyncKeys(Hung())  # type: ignore[arg-type]

        async def ask() -> None:
            try:
                await checked.check("gg_x")
                statuses.append(401)
            except ProblemError as refused:
                statuses.append(refused.problem.status)

        async with anyio.create_task_group() as asking:
            for _ in range(at_once + 3):
                asking.start_soon(ask)
            with anyio.fail_after(20):
                while len(statuses) < 3:
                    await anyio.sleep(0.01)
            assert statuses == [503] * 3
            answers.set()

    anyio.run(crowd)
    assert statuses == [503] * 3 + [401] * at_once
