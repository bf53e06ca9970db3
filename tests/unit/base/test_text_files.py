"""Files that begin with a mark of their encoding, as editors on Windows write them."""

import json
from pathlib import Path

import pytest
from spec_samples import SMALL

from ganguard.audit.spec.reading import read_spec
from ganguard.base.errors import SpecError
from ganguard.base.settings import json_of
from ganguard.data.dataset_json import said_labels
from ganguard.gateway.shop.asked import read_asked
from ganguard.gateway.shop.secret import secret_of
from ganguard.gateway.spec import read_gateway_spec

MARKED = ["utf-8-sig", "utf-16", "utf-8"]


@pytest.mark.parametrize("encoding", MARKED)
def test_a_spec_may_begin_with_a_mark(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_bytes(f"# größer\n{json.dumps(SMALL)}".encode(encoding))
    plain = tmp_path / "plain.yaml"
    plain.write_text(json.dumps(SMALL))
    assert read_spec(str(file), [])[1] == read_spec(str(plain), [])[1]


@pytest.mark.parametrize("encoding", MARKED)
def test_a_gateways_spec_may_begin_with_a_mark(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_bytes("target: {checkpoint: x}\n".encode(encoding))
    assert read_gateway_spec(str(file), []).port == 8000


@pytest.mark.parametrize("encoding", MARKED)
def test_json_may_begin_with_a_mark(encoding: str) -> None:
    assert json_of('{"a": "ö"}'.encode(encoding)) == {"a": "ö"}
    assert said_labels('{"labels": [["a.png", 1]]}'.encode(encoding), "dataset.json", {"a.png"}) == {
        "a.png": 1
    }


def test_a_body_and_a_secret_may_begin_with_a_mark(tmp_path: Path) -> None:
    asked = read_asked('{"count": 3}'.encode("utf-8-sig"), most=10, width=None)
    assert asked.count == 3
    (tmp_path / "secret").write_bytes(b"s" * 48)
    plain = secret_of(tmp_path)
    (tmp_path / "secret").write_bytes(b"\xef\xbb\xbf" + b"s" * 48 + b"\r\n")
    assert secret_of(tmp_path) == plain


def test_what_is_no_text_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_bytes(b"\xff\xfea")
    with pytest.raises(SpecError) as raised:
        read_spec(str(file), [])
    assert "\n" not in str(raised.value)
