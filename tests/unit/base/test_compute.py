import pytest
import torch

from ganguard.base.compute import Compute, use_threads
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


@pytest.mark.parametrize(("present", "device"), [(True, "cuda"), (False, "cpu")])
def test_auto_takes_cuda_where_there_is_one(monkeypatch: pytest.MonkeyPatch, present: bool, device: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: present)
    assert Compute(device="auto").torch_device().type == device


def test_a_device_that_is_none_is_refused() -> None:
    with pytest.raises(SpecError, match="device"):
        parse(Compute, {"device": "gpu"}, "compute")


def test_no_threads_are_refused() -> None:
    with pytest.raises(SpecError, match=r"compute\.threads"):
        parse(Compute, {"threads": 0}, "compute")
