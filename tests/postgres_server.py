"""Places for a ledger: an SQLite file, and databases of a PostgreSQL server that the tests start for
themselves.

The server is Debian's package `postgresql`, in a new directory, on 127.0.0.1 and a free port. Where it is not
installed the tests that need it are skipped. It refuses to run as root, and then runs as the user `postgres`,
which the package makes.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

import pytest

_USER = "postgres"
_SETTINGS = [
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "shared_buffers=16MB",
    "max_connections=60",
]
# The server ends, and its directory with it, when the pipe to pytest closes: that is, however pytest ends.
_WATCHED = '"$@" & read -r _; kill -QUIT "$(head -1 "$0/data/postmaster.pid")"; wait; rm -rf "$0"'


class PostgresServer:
    """A running server; `database()` and `schema()` make empty places in it."""

    def __init__(self, programs: Path) -> None:
        self._programs, self._numbers = programs, count()
        self._directory = Path(tempfile.mkdtemp(prefix="ganguard-postgres-"))
        self._data = self._directory / "data"
        self._server: subprocess.Popen[bytes] | None = None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]

    def start(self) -> None:
        if os.geteuid() == 0:
            shutil.chown(self._directory, _USER)
        initdb = self._command(
            "initdb", "--auth=trust", f"--username={_USER}", "--locale=C", "--encoding=UTF8"
        )
        subprocess.run(initdb, cwd=self._directory, stdout=subprocess.DEVNULL, check=True)
        options = [part for setting in [*_SETTINGS, f"port={self.port}"] for part in ("-c", setting)]
        command = ["sh", "-c", _WATCHED, str(self._directory), *self._command("postgres", *options)]
        with (self._directory / "log").open("w") as log:
            self._server = subprocess.Popen(
                command,
                cwd=self._directory,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._wait()

    def _wait(self) -> None:
        """Until it answers."""
        import psycopg

        for _ in range(600):
            with suppress(psycopg.OperationalError):
                return self.execute("SELECT 1")
            time.sleep(0.1)
        raise RuntimeError((self._directory / "log").read_text())

    def stop(self) -> None:
        if self._server and self._server.stdin:
            self._server.stdin.close()
            self._server.wait()

    @contextmanager
    def hung(self) -> Iterator[None]:
        """Stop every process of the server while the body runs; its kernel still takes what is sent."""
        (number, *_) = (self._data / "postmaster.pid").read_text().split()
        processes = [int(number)]
        os.kill(processes[0], signal.SIGSTOP)  # first, so that it makes no more
        # runuser, if the server runs under it, stops itself when it sees its child stopped.
        parent = int(Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[1])
        children = Path(f"/proc/{number}/task/{number}/children").read_text()
        processes += [int(child) for child in children.split()]
        try:
            for process in processes[1:]:
                os.kill(process, signal.SIGSTOP)
            yield
        finally:
            for process in [parent, *processes]:
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGCONT)

    def database(self) -> str:
        """Address of a new, empty database."""
        name = f"ledger_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        return self.address(name)

    def schema(self) -> str:
        """Address of a new, empty schema in the database `postgres`: quicker to make than a database."""
        name = f"ledger_{next(self._numbers)}"
        self.execute(f"CREATE SCHEMA {name}")
        return f"{self.address()}?options=-csearch_path%3D{name}"

    def address(self, database: str = "postgres") -> str:
        return f"postgresql://{_USER}@127.0.0.1:{self.port}/{database}"

    def execute(self, statement: str) -> None:
        import psycopg

        with psycopg.connect(self.address(), autocommit=True) as connection:
            connection.execute(statement)

    def _command(self, program: str, *arguments: str) -> list[str]:
        command = [str(self._programs / program), "-D", str(self._data), *arguments]
        return ["runuser", "-u", _USER, "--", *command] if os.geteuid() == 0 else command


def _programs() -> Path:
    """Where initdb and pg_ctl are. Skips the test where they are not, or where they would refuse this
    user."""
    on_path = shutil.which("initdb")
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    if not on_path and not found:
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    pytest.importorskip("psycopg", reason="psycopg is not installed (pip install 'ganguard[postgres]')")
    if os.geteuid() == 0 and not (
        shutil.which("runuser") and _USER in {entry.pw_name for entry in pwd.getpwall()}
    ):
        pytest.skip("PostgreSQL does not run as root, and there is no user `postgres` to run it as")
    return Path(on_path).resolve().parent if on_path else found[-1].parent


_SERVER = pytest.StashKey[PostgresServer]()


@pytest.fixture(scope="session")
def postgres(pytestconfig: pytest.Config) -> PostgresServer:
    """The session's server: one, however many folders use this fixture; stopped when pytest ends."""
    if _SERVER not in pytestconfig.stash:
        server = PostgresServer(_programs())
        pytestconfig.add_cleanup(server.stop)
        server.start()
        pytestconfig.stash[_SERVER] = server
    return pytestconfig.stash[_SERVER]


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a test's own ledger may be, which is not there yet."""
    if request.param == "sqlite":
        return str(tmp_path / "deep" / "ledger.db")
    return request.getfixturevalue("postgres").database()


@pytest.fixture(params=["sqlite", "postgresql"])
def new_place(request: pytest.FixtureRequest) -> Iterator[Callable[[], str]]:
    """The same for tests that need many."""
    if request.param == "postgresql":
        yield request.getfixturevalue("postgres").schema
    else:
        with tempfile.TemporaryDirectory() as folder:
            numbers = count()
            yield lambda: f"{folder}/{next(numbers)}/ledger.db"
