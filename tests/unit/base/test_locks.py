import threading
import time
from pathlib import Path

import pytest

from ganguard.base.errors import SpecError
from ganguard.base.locks import LOCK, alone, locked


def test_one_holds_a_lock_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "locks" / "one"
    with locked(path) as first, locked(path) as second:
        assert (first, second) == (True, False)
    with locked(path) as again:
        assert again


@pytest.mark.parametrize("shared", [False, True])
def test_a_shared_lock_is_held_beside_shared_ones_alone(tmp_path: Path, shared: bool) -> None:
    path = tmp_path / "one"
    path.touch()
    with locked(path, shared=True) as first, locked(path, shared=shared) as second:
        assert (first, second) == (True, shared)
    with locked(path) as first, locked(path, shared=shared) as second:
        assert (first, second) == (True, False)


def test_who_shares_a_lock_creates_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), locked(tmp_path / "none" / "one", shared=True):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_lock_is_waited_for(tmp_path: Path) -> None:
    held = threading.Event()

    def hold() -> None:
        with locked(tmp_path / "one"):
            held.set()
            time.sleep(0.2)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()
    began = time.monotonic()
    with locked(tmp_path / "one", wait=True) as taken:
        assert taken
        assert time.monotonic() - began > 0.1
    holder.join()


def test_a_lock_is_dropped_when_the_body_fails(tmp_path: Path) -> None:
    with pytest.raises(KeyError), locked(tmp_path / "one"):
        raise KeyError
    with locked(tmp_path / "one") as held:
        assert held


def test_a_directory_that_another_run_works_in_is_refused(tmp_path: Path) -> None:
    with alone(tmp_path / "out"):
        assert (tmp_path / "out" / LOCK).exists()
        refused = pytest.raises(SpecError, match=r"out: another run is at work here\. Wait")
        with refused as caught, alone(tmp_path / "out"):
            pytest.fail("two runs in one directory")
        assert caught.value.__context__ is None
    with alone(tmp_path / "out"):
        pass
