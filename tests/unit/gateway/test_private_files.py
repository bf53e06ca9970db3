"""The gateway's files are its user's alone, or it does not start."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ganguard.base.errors import SpecError
from ganguard.base.settings import parse
from ganguard.gateway.private_files import keep_private
from ganguard.gateway.shop.service import Service
from ganguard.gateway.spec import GatewaySpec

Start = Callable[..., Any]
NOBODY = 65534
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files to others")
OPENS = """
import os, sys
os.setuid(65534)
for path in sys.argv[1:]:
    for flags in (os.O_RDONLY, os.O_RDWR):
        try:
            os.open(path, flags)
            print("opened", path)
        except PermissionError:
            pass
"""


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def _spec(state: Path, **more: Any) -> GatewaySpec:
    return parse(GatewaySpec, {"target": {"checkpoint": "x"}, "directory": str(state), **more}, "spec")


def _modes(state: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mode & 0o7777 for path in [state, *state.iterdir()]}


@pytest.fixture(params=[0o000, 0o022, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask")
def test_whatever_the_umask_files_are_for_their_owner_alone(gateway: Start, state: Path) -> None:
    us = gateway()
    us.buy(us.key(), count=2)
    us.service.journal.write()
    assert _modes(state) == {
        "state": 0o700,
        "secret": 0o600,
        **dict.fromkeys(("ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm"), 0o600),
    }


@AS_ROOT
def test_a_local_user_can_open_and_lock_nothing(gateway: Start, state: Path, tmp_path: Path) -> None:
    """With the way to the directory open to everybody, as in /var/lib."""
    gateway()
    for parent in (tmp_path, *tmp_path.parents):
        if parent.stat().st_mode & 0o001 == 0:
            parent.chmod(parent.stat().st_mode | 0o001)
    paths = [str(path) for path in (state, *state.iterdir())]
    assert len(paths) == 5
    found = subprocess.run([sys.executable, "-c", OPENS, *paths], capture_output=True, text=True, check=True)
    assert found.stdout == ""


# What is made before the start: a name, a mode, and what is wrong.
PUBLIC = {
    "a directory": ("", 0o755, "has mode 0755"),
    "a directory of a group": ("", 0o710, "has mode 0710"),
    "a ledger": ("ledger.sqlite", 0o644, "ledger.sqlite has mode 0644"),
    "a ledger's log": ("ledger.sqlite-wal", 0o640, "ledger.sqlite-wal has mode 0640"),
    "a ledger's memory": ("ledger.sqlite-shm", 0o604, "ledger.sqlite-shm has mode 0604"),
    "a journal": ("ledger.sqlite-journal", 0o644, "ledger.sqlite-journal has mode 0644"),
    "a secret of a group": ("secret", 0o640, "secret has mode 0640"),
}


@pytest.mark.parametrize("what", PUBLIC)
def test_what_others_may_open_is_refused_until_the_command_is_run(state: Path, what: str) -> None:
    name, mode, said = PUBLIC[what]
    state.mkdir(0o700)
    if name:
        (state / name).touch()
    (state / name).chmod(mode)
    with pytest.raises(SpecError, match=said) as refused:
        keep_private(_spec(state))
    assert "\n" not in str(refused.value)
    _run_what_it_says(str(refused.value))
    keep_private(_spec(state))


def _run_what_it_says(said: str) -> None:
    command = said.partition("and run: ")[2].rpartition(" (or set")[0]
    for part in command.split(" && "):
        assert shlex.split(part)[0] in ("chmod", "chown", "mv")
        subprocess.run(shlex.split(part), check=True)


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    state = tmp_path / "the state; of it"
    state.mkdir()
    state.chmod(0o777)
    for name in ("ledger.sqlite", "secret"):
        (state / name).touch()
        (state / name).chmod(0o666)
    with pytest.raises(SpecError, match=r"0777.*0666.*0666") as refused:
        keep_private(_spec(state))
    _run_what_it_says(str(refused.value))
    keep_private(_spec(state))
    assert _modes(state) == {state.name: 0o700, "ledger.sqlite": 0o600, "secret": 0o600}


@AS_ROOT
@pytest.mark.parametrize("name", ["", "ledger.sqlite", "secret"])
def test_what_belongs_to_another_user_is_refused(state: Path, name: str) -> None:
    state.mkdir(0o700)
    if name:
        (state / name).touch(0o600)
    os.chown(state / name, NOBODY, NOBODY)
    with pytest.raises(SpecError, match=f"belongs to user {NOBODY}") as refused:
        keep_private(_spec(state))
    _run_what_it_says(str(refused.value))
    keep_private(_spec(state))


@pytest.mark.parametrize("name", ["ledger.sqlite", "ledger.sqlite-wal", "secret"])
@pytest.mark.parametrize("kind", ["link", "dangling link", "pipe", "directory"])
def test_files_that_are_none_are_refused(state: Path, tmp_path: Path, name: str, kind: str) -> None:
    state.mkdir(0o700)
    elsewhere = tmp_path / "elsewhere"
    if kind == "link":
        elsewhere.touch(0o600)
    if "link" in kind:
        (state / name).symlink_to(elsewhere)
    elif kind == "pipe":
        os.mkfifo(state / name, 0o600)
    else:
        (state / name).mkdir(0o600)
    with pytest.raises(SpecError, match=f"{name} is no regular file") as refused:
        keep_private(_spec(state))
    assert not elsewhere.exists() or elsewhere.stat().st_size == 0
    _run_what_it_says(str(refused.value))
    keep_private(_spec(state))


def test_a_link_to_a_private_directory_is_as_good_and_one_to_a_public_one_as_bad(
    state: Path, tmp_path: Path
) -> None:
    """systemd links /var/lib/NAME to /var/lib/private/NAME."""
    real = tmp_path / "real"
    real.mkdir(0o700)
    state.symlink_to(real)
    keep_private(_spec(state))
    assert _modes(real) == {"real": 0o700, "ledger.sqlite": 0o600}
    real.chmod(0o750)
    with pytest.raises(SpecError, match="has mode 0750"):
        keep_private(_spec(state))


def test_with_a_ledger_elsewhere_the_secret_counts_alone(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY_LEDGER", "postgresql://there/db")
    keep_private(_spec(state, ledger="env:GATEWAY_LEDGER"))
    assert _modes(state) == {"state": 0o700}
    (state / "secret").touch()
    (state / "secret").chmod(0o644)
    with pytest.raises(SpecError, match="secret has mode 0644"):
        keep_private(_spec(state, ledger="env:GATEWAY_LEDGER"))


def test_a_file_in_the_directorys_place_is_refused(state: Path) -> None:
    state.touch()
    with pytest.raises(SpecError, match="must be the gateway's directory; found something else"):
        keep_private(_spec(state))


@pytest.mark.parametrize(
    "verb",
    [
        "serve SPEC",
        "keys list SPEC",
        "keys create SPEC --account us",
        "keys revoke SPEC 0000",
        "keys set-budget SPEC --account us --budget 1",
    ],
)
def test_every_verb_refuses_the_working_directory_of_an_operator(
    cli: Callable[..., tuple[int, str, str]], tmp_path: Path, generator: Path, verb: str
) -> None:
    said = {"target": {"checkpoint": str(generator)}, "directory": ".", "port": 0}
    (tmp_path / "gateway.yaml").write_text(json.dumps(said))
    tmp_path.chmod(0o755)
    code, out, err = cli(*verb.replace("SPEC", "gateway.yaml").split())
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert f"chmod 700 {tmp_path}" in err
    assert "set `directory` to another" in err


def test_what_was_open_to_all_before_is_served_once_its_modes_are_right(gateway: Start, state: Path) -> None:
    us = gateway()
    us.buy(us.key(), count=2)
    us.service.close()
    for path in (state, *state.iterdir()):
        path.chmod(0o755 if path.is_dir() else 0o644)
    with pytest.raises(SpecError, match="chmod 700") as refused:
        Service(us.service.spec)
    _run_what_it_says(str(refused.value))
    assert gateway().counts() == (2, 2)
