import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from ganguard.base.compute import (
    Compute,
    _keep_freed_memory,  # pyright: ignore[reportPrivateUsage]
    limit_threads,
    use_threads,
)
from ganguard.base.errors import SpecError
from ganguard.base.settings import parse


def test_threads_are_set_and_restored() -> None:
    before = torch.get_num_threads()
    with use_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


def test_threads_are_restored_after_an_error() -> None:
    before = torch.get_num_threads()
    with pytest.raises(RuntimeError), use_threads(before + 1):
        raise RuntimeError
    assert torch.get_num_threads() == before


def test_the_threads_of_numpys_and_scipys_blas_are_limited_and_restored() -> None:
    def of_blas() -> list[int]:
        return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]

    with threadpool_limits(2, user_api="blas"):
        with limit_threads(1):
            assert set(of_blas()) == {1}
            assert torch.get_num_threads() == 1
        assert of_blas() == [2] * len(of_blas())


@pytest.mark.parametrize(("present", "device"), [(True, "cuda"), (False, "cpu")])
def test_auto_takes_cuda_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch, present: bool, device: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: present)
    assert Compute(device="auto").torch_device().type == device


def test_a_device_that_is_none_is_refused() -> None:
    with pytest.raises(SpecError, match="device"):
        parse(Compute, {"device": "gpu"}, "compute")


def test_no_threads_are_refused() -> None:
    with pytest.raises(SpecError, match=r"compute\.threads"):
        parse(Compute, {"threads": 0}, "compute")


@pytest.mark.parametrize(
    ("named", "said", "wanted"),
    [
        ("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1", [(-3, 32 << 20), (-1, 1 << 30)]),
        ("MALLOC_TRIM_THRESHOLD_", "0", []),
        ("GLIBC_TUNABLES", "glibc.malloc.mmap_threshold=65536", []),
    ],
)
def test_freed_memory_is_kept_unless_the_environment_says_how(
    monkeypatch: pytest.MonkeyPatch, named: str, said: str, wanted: list[tuple[int, int]]
) -> None:
    told: list[tuple[int, int]] = []

    class Libc:
        def mallopt(self, parameter: int, value: int) -> int:
            told.append((parameter, value))
            return 1

    monkeypatch.setattr("ganguard.base.compute.ctypes.CDLL", lambda name: Libc())
    monkeypatch.setenv(named, said)
    _keep_freed_memory.__wrapped__()
    assert told == wanted


def test_a_library_without_mallopt_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ganguard.base.compute.ctypes.CDLL", lambda name: object())
    _keep_freed_memory.__wrapped__()
