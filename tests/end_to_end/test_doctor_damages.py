"""Every damage to what an audit wrote is found and named, and the advice mends it."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from doctored import SHARD, change, everything, flip, one, run, sql, truncate, wrong

from ganguard.queries.ledger import Ledger

CHECKPOINT = "checkpoints/target/generator.safetensors"
DAMAGES: dict[str, tuple[Callable[[Path, Path], None], str, str, str]] = {
    # what is done to the file → the file, what is found, and what is to be done
    "a truncated shard": (lambda _, file: truncate(file), SHARD, "damaged", "counts once"),
    "a flipped bit in a shard": (lambda _, file: flip(file), SHARD, "damaged", "counts once"),
    "a shard under another name": (
        lambda _, file: file.rename(file.with_name(file.name.replace("-", "1-", 1))) and None,
        SHARD,
        "",
        "",
    ),
    "a damaged description": (
        lambda _, file: file.write_text("{"),
        "purchases/*auditor-0/store.json",
        "damaged",
        "Remove it",
    ),
    "a description of another seed": (
        lambda _, file: change(file, seed=3),
        "purchases/*auditor-0/store.json",
        "damaged",
        "Remove",
    ),
    "a description of another target": (
        lambda _, file: change(file, target="x"),
        "purchases/*/store.json",
        "damaged",
        "Remove",
    ),
    "a description of another account": (
        lambda _, file: change(file, account="x"),
        "purchases/*/store.json",
        "damaged",
        "Remove",
    ),
    "a flipped bit in a checkpoint": (
        lambda _, file: flip(file),
        CHECKPOINT,
        "damaged",
        "Run the same command again",
    ),
    "an absent checkpoint": (
        lambda _, file: file.unlink(),
        CHECKPOINT,
        "absent",
        "Run the same command again",
    ),
    "an absent report": (
        lambda _, file: file.unlink(),
        "report.html",
        "absent",
        "Run the same command again",
    ),
    "a truncated report": (
        lambda _, file: truncate(file),
        "report.html",
        "damaged",
        "Run the same command again",
    ),
    "a flipped bit in the results": (
        lambda _, file: flip(file),
        "results.json",
        "",
        "Run the same command again",
    ),
    "a truncated table": (
        lambda _, file: truncate(file),
        "results.parquet",
        "damaged",
        "Run the same command again",
    ),
    "an absent picture": (
        lambda _, file: file.unlink(),
        "grids/real.png",
        "absent",
        "Run the same command again",
    ),
    "a flipped bit in a step's record": (
        lambda _, file: flip(file),
        "steps/measure-*/step.json",
        "absent or damaged",
        "done again",
    ),
    "a flipped bit in a step's tensors": (
        lambda _, file: flip(file),
        "steps/real-*/real.safetensors",
        "damaged",
        "Remove",
    ),
    "a flipped bit in a step's checkpoint": (
        lambda _, file: flip(file, 0.9),
        "steps/substitute-*/checkpoint/generator.safetensors",
        "damaged",
        "Remove",
    ),
    "an absent file of a step": (
        lambda _, file: file.unlink(),
        "steps/yardsticks-*/balls.safetensors",
        "absent",
        "Remove",
    ),
    "another's name": (
        lambda _, file: change(file, name="other"),
        "audit.json",
        "names another audit",
        "Remove this file",
    ),
    "no name": (lambda _, file: file.write_text("{"), "audit.json", "does not say whose", "remove this file"),
    "no ledger": (lambda _, file: file.unlink(), "ledger.sqlite", "absent", "Bring back a copy"),
    "a ledger of zeros": (
        lambda _, file: file.write_bytes(bytes(9000)),
        "ledger.sqlite",
        "not a ledger",
        "Bring back a copy",
    ),
    "a budget that was lowered": (
        lambda directory, _: sql(directory, "UPDATE accounts SET budget = 7"),
        "ledger.sqlite",
        "has bought 40 images of a budget of 7",
        "Bring back a copy",
    ),
    "a sum that was changed": (
        lambda directory, _: sql(
            directory, "UPDATE accounts SET delivered = 0, reserved = 0 WHERE name LIKE '%adversary%'"
        ),
        "ledger.sqlite",
        "counts 0 images reserved, 0 delivered; its reservations sum to 40 and 40",
        "Bring back a copy",
    ),
    "a reservation that was removed": (
        lambda directory, _: sql(directory, "DELETE FROM reservations WHERE account LIKE '%adversary%'"),
        "ledger.sqlite",
        "holds 40 images, and 0 were delivered",
        "Bring back a copy",
    ),
    "a reservation that was made smaller": (
        lambda directory, _: sql(
            directory, "UPDATE reservations SET images = 3 WHERE account LIKE '%auditor-0%'"
        ),
        "ledger.sqlite",
        "counts 3 images",
        "Bring back a copy",
    ),
    "a request that was changed": (
        lambda directory, _: sql(
            directory, "UPDATE reservations SET request = 'sample seed=1 indices=0:40' WHERE images = 40"
        ),
        "ledger.sqlite",
        "was made for another target or request",
        "Bring back a copy",
    ),
    "a state that there is not": (
        lambda directory, _: sql(directory, "UPDATE reservations SET state = 'lost'"),
        "ledger.sqlite",
        "in the state 'lost'",
        "Bring back a copy",
    ),
    "an account that was removed": (
        lambda directory, _: sql(directory, "DELETE FROM accounts WHERE name LIKE '%auditor-1%'"),
        "ledger.sqlite",
        "which does not exist",
        "Bring back a copy",
    ),
    "another schema": (
        lambda directory, _: sql(directory, "UPDATE ledger_version SET version = 99"),
        "ledger.sqlite",
        "version 99",
        "Bring back a copy",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_each_damage_is_found_named_and_has_its_advice(copied: Path, damage: str) -> None:
    act, pattern, what, advice = DAMAGES[damage]
    file = one(copied, pattern)
    act(copied, file)
    before = everything(copied)
    found = wrong(copied)
    if damage == "a shard under another name":
        assert any("its rows are not images" in finding.what for finding in found)
    else:
        assert any(f.where == file and what in f.what and advice in f.advice for f in found), found
    assert all(finding.advice for finding in found)
    assert everything(copied) == before


@pytest.mark.parametrize(
    "damage",
    [name for name, (_, pattern, _, _) in DAMAGES.items() if pattern.split("/")[0] != "ledger.sqlite"],
)
def test_the_advice_mends_it(copied: Path, damage: str) -> None:
    """A run does again what can be done again; what it does not write over by itself is removed first."""
    act, pattern, _, _ = DAMAGES[damage]
    act(copied, one(copied, pattern) if not pattern.startswith("audit.json") else copied / "audit.json")
    for finding in wrong(copied):
        if "emove" in finding.advice:
            step = next(
                (path for path in (finding.where, *finding.where.parents) if path.parent == copied / "steps"),
                None,
            )
            shutil.rmtree(step) if step and step.exists() else finding.where.unlink(missing_ok=True)
    run(copied)
    assert wrong(copied) == []
    with Ledger(copied / "ledger.sqlite") as ledger:
        assert sorted(balance.reserved for balance in ledger.balances()) == [40, 60, 60]


PROTECTED = (
    "store.json",
    "steps/",
    "results",
    "report.html",
    "grids/",
    "features/",
    "checkpoints/",
    "/data/",
)


@pytest.mark.parametrize("seed", range(3))
def test_whatever_is_damaged_the_doctor_looks_on(copied: Path, seed: int) -> None:
    """One random file after another is damaged. If it has a digest, that is found, and nothing stops it."""
    chance = random.Random(seed)
    files = sorted(path for path in copied.rglob("*") if path.is_file() and path.stat().st_size)
    for file in chance.sample(files, 20):
        content = file.read_bytes()
        kind = chance.choice(["flip", "truncate", "remove", "directory", "noise"])
        flip(file, chance.random()) if kind == "flip" else file.unlink()
        if kind == "directory":
            file.mkdir()
        elif kind in ("truncate", "noise"):
            file.write_bytes(content[: len(content) // 2] if kind == "truncate" else chance.randbytes(300))
        found = wrong(copied)
        name = f"/{file.relative_to(copied)}"
        assert not any("could not be looked at" in finding.what for finding in found), (file, kind, found)
        if any(part in name for part in PROTECTED) and not (kind == "remove" and "/purchases/" in name):
            assert found, (file, kind)
        file.rmdir() if kind == "directory" else file.unlink(missing_ok=True)
        file.write_bytes(content)
    assert wrong(copied) == []
