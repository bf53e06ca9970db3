"""An audit that is stopped leaves nothing half written."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ganguard.audit import run
from ganguard.audit.spec.spec import Spec
from ganguard.base.cache import TEMPORARY
from ganguard.base.errors import SpecError

SPEC = {
    "target": {"train": {"dataset": "digits", "architecture": "sngan", "steps": 5, "n_dis": 1}},
    "real": "digits",
    "features": "random_network",
    "attacks": [{"kind": "fidelity", "architecture": "sngan", "query_budget": 30, "steps": 5, "n_dis": 1}],
    "samples": 50,
}


@pytest.mark.parametrize("ending", [KeyboardInterrupt, SystemExit, lambda: SpecError("refused")])
def test_what_stopped_writers_left_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: Callable[[], BaseException]
) -> None:
    """A signal can reach a process of the pool while it removes what it was writing; then its parent does."""
    left = tmp_path / "work" / "train_target-0" / f".training.safetensors.abc{TEMPORARY}"

    def execute(*_: object, **__: object) -> None:
        left.mkdir(parents=True)
        (left / "tensors").write_bytes(b"half of it")
        raise ending()

    monkeypatch.setattr(run, "execute", execute)
    with pytest.raises(type(ending())):
        run.audit("stopped", Spec.model_validate(SPEC), tmp_path, listener=lambda _: None)
    assert not left.exists()
    assert left.parent.exists()
