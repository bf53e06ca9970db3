"""The spec of a gateway: what it takes, and one line where it does not."""

from pathlib import Path

import pytest

from ganguard.base.errors import SpecError
from ganguard.gateway.shop.secret import secret_of
from ganguard.gateway.spec import read_gateway_spec


def _read(tmp_path: Path, text: str, *changes: str) -> object:
    file = tmp_path / "gateway.yaml"
    file.write_text(text)
    return read_gateway_spec(str(file), list(changes))


def test_a_spec_says_classes_and_their_defences(tmp_path: Path) -> None:
    text = """
target: {checkpoint: somewhere}
classes:
  trial: {defences: [{kind: gaussian_noise, std: 0.2}, {kind: jpeg, quality: 30}], images_a_minute: 60}
  gold: {defences: none}
"""
    spec = _read(tmp_path, text, "port=0")
    assert spec.port == 0
    assert [defence.kind for defence in spec.class_of("trial").defences] == ["gaussian_noise", "jpeg"]
    assert spec.class_of("gold").defences == spec.class_of("default").defences == ()
    again = _read(tmp_path, text, "port=0").model_dump(mode="json")
    assert type(spec).model_validate(again) == spec


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "mapping"),
        ("[]", "mapping"),
        ("target: {checkpoint: x}\ntarge: 1", "unknown key"),
        ("directory: x", "target: this key is required"),
        ("target: {chekpoint: x}", "did you mean 'checkpoint'"),
        ("target: {checkpoint: x}\nhost: example.org", "must be an IP address"),
        ("target: {checkpoint: x}\nport: 70000", "65535"),
        ("target: {checkpoint: x}\nledger: postgresql://user:word@host/db", "ledger"),
        ("target: {checkpoint: x}\nclasses: {a: {defences: {kind: jpg}}}", "did you mean 'jpeg'"),
        (
            "target: {checkpoint: x}\nclasses: "
            "{a: {defences: {kind: semantic_interpolation, attribute: slant, amount: 1}}}",
            "direction",
        ),
        ("target: {checkpoint: x}\nbatching: {most_waiting: 5}", "most_waiting must be at least"),
        ("target: {checkpoint: x}\nrisk: {results: y, thresholds: [0]}", "greater than 0"),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SpecError, match=said) as refused:
        _read(tmp_path, text)
    assert "\n" not in str(refused.value)
    assert "word" not in str(refused.value)


def test_the_ledgers_address_comes_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = _read(tmp_path, "target: {checkpoint: x}\nledger: env:GATEWAY_LEDGER")
    with pytest.raises(SpecError, match="GATEWAY_LEDGER must hold"):
        spec.place()
    monkeypatch.setenv("GATEWAY_LEDGER", "postgresql://there/db")
    assert spec.place() == "postgresql://there/db"


def test_the_secret_is_made_once_and_is_for_its_owner(tmp_path: Path) -> None:
    made = secret_of(tmp_path / "state")
    assert secret_of(tmp_path / "state") == made
    assert secret_of(tmp_path / "other") != made
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["secret"]
    assert (tmp_path / "state" / "secret").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("secret", "said"),
    [
        (b"", "secret must be of 16 to 64 bytes; got 0"),
        (b"8 bytes.", "secret must be of 16 to 64 bytes; got 8"),
        (b"of fifteen byte", "secret must be of 16 to 64 bytes; got 15"),
        (b"of fifteen byte   \n\n", "secret must be of 16 to 64 bytes; got 15"),
        (b"x" * 65, "secret must be of 16 to 64 bytes; got 65"),
    ],
)
def test_a_secret_that_is_found_offline_is_refused(tmp_path: Path, secret: bytes, said: str) -> None:
    (tmp_path / "secret").write_bytes(secret)
    with pytest.raises(SpecError, match=said) as refused:
        secret_of(tmp_path)
    assert "--new-secret" in str(refused.value)
    assert "\n" not in str(refused.value)
    (tmp_path / "secret").write_bytes(b"of sixteen bytes\n")
    assert secret_of(tmp_path) == b"of sixteen bytes"
