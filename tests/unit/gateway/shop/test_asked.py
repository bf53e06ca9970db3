"""Bodies read by hand-picked rules: they take what `ImagesRequest` describes, and nothing else."""

import json
from typing import Any

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from ganguard.gateway.refusals import ProblemError
from ganguard.gateway.shop.asked import Asked, read_asked
from ganguard.targets.wire import ConditionalRequest, ImagesRequest

NUMBERS = st.sampled_from(
    [None, True, 0, 1, -1, 2.0, 2.5, 1 << 20, (1 << 20) + 1, 2**61, 2**61 + 1, 2**62, 2**62 + 1, "1", [1], {}]
)
ENTRIES = st.sampled_from([0, -3, 0.5, 1000, -1000.0, 1000.5, 10**30, None, "x", True, [], [1], {}, "]"])
BODIES = st.fixed_dictionaries(
    {},
    optional={
        "count": NUMBERS,
        "seed": NUMBERS,
        "start": NUMBERS,
        "format": st.sampled_from(["png", "npz", "jpeg", None, 1, '"png"']),
        "latents": st.lists(st.lists(ENTRIES, min_size=2, max_size=2), max_size=3) | NUMBERS,
        "colour": NUMBERS,
    },
)


def described(body: Any, model: type[ImagesRequest] = ImagesRequest) -> Asked | None:
    """What the description in the OpenAPI document says of a body; None if it does not fit."""
    try:
        found = model.model_validate(body)
    except ValidationError:
        return None
    latents = None if found.latents is None else torch.tensor(found.latents, dtype=torch.float32)
    condition = getattr(found, "condition", None)
    return Asked(found.count, found.seed, found.start, latents, condition, found.format)


def parts(asked: Asked) -> tuple[Any, ...]:
    latents = None if asked.latents is None else asked.latents.tolist()
    return asked.count, asked.seed, asked.start, latents, asked.condition, asked.format


NAMES = st.sampled_from(["cat", 'a "cat"', "\\", '\\"', '"', "\n\x00", "\U0001f989", "", "x" * 300])
CONDITIONS = NAMES | st.lists(NAMES | NUMBERS, max_size=4) | NUMBERS


@given(body=BODIES, condition=CONDITIONS, ascii_only=st.booleans())
@example(body={"format": "npz"}, condition=['"', "\\", '\\"'], ascii_only=True)
def test_conditions_are_read_whatever_their_names_are(
    body: dict[str, Any], condition: Any, ascii_only: bool
) -> None:
    wanted = described(body | {"condition": condition}, ConditionalRequest)
    text = json.dumps(body | {"condition": condition}, ensure_ascii=ascii_only).encode()
    try:
        found = read_asked(text, 100, 2)
    except ProblemError as refused:
        assert refused.problem.status == 422
        assert wanted is None, refused.problem.detail
    else:
        assert wanted is not None
        assert parts(found) == parts(wanted)


@pytest.mark.parametrize(
    "first", ['"cat"', '["cat", "cat"]', "null", '"\\\\"', '"\\""', '["\\"", "\\\\\\""]']
)
@pytest.mark.parametrize("last", ['"cat"', '["cat"]', "null", '["\\\\", "\\\\", "\\\\"]', '"\\u0022"'])
def test_a_condition_is_given_once(first: str, last: str) -> None:
    with pytest.raises(ProblemError, match="given once") as refused:
        read_asked(f'{{"count": 1, "condition": {first}, "condition": {last}}}'.encode(), 100, 2)
    assert refused.value.problem.status == 422


@pytest.mark.parametrize("text", ["\\ud800", "\\ud800abcdefgh", "\\ude00 abcdefgh", "a\x01b", "\\x41"])
def test_a_text_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ProblemError, match="not JSON") as refused:
        read_asked(f'{{"count": 1, "condition": "{text}"}}'.encode(), 100, 2)
    assert refused.value.problem.status == 422


@given(body=BODIES)
@example(body={"latents": [[0.1, 1e-320], [-1000, 16777217]], "format": "npz", "start": 0})
def test_what_is_described_is_read_and_nothing_else(body: dict[str, Any]) -> None:
    wanted = described(body)
    for text in (json.dumps(body), json.dumps(body, indent=1, separators=(" ,\r\n", " :\t"))):
        try:
            found = read_asked(text.encode(), 100, 2)
        except ProblemError as refused:
            assert refused.problem.status == 422
            assert wanted is None, refused.problem.detail
        else:
            assert wanted is not None
            assert parts(found) == parts(wanted)


WRONG = {
    '{"count": "secret"}': "count",
    '{"count": 1, "format": "secret"}': "format",
    '{"latents": [[1, 2], [3, "secret"]]}': "latents.1.1",
    '{"latents": [[1, 2], [31337, 2]]}': "latents.1.0",
    '{"latents": [[1, 2], [3, [31337]]]}': "latents.1.1",
    '{"latents": [[1, 2], [3, {"secret": 1}]]}': "latents.1.1",
    '{"latents": [[1, 2], [1e31337, 2]]}': "latents.1.0",
    '{"latents": [[1, 2], [3]]}': "latents.1",
    '{"latents": [[1, 2], [3, 4, 31337]]}': "latents.1",
    '{"latents": [[1, 2], 31337]}': "latents.1",
    '{"latents": [[1, 2], "secret"]}': "latents.1",
    '{"latents": ["secret", [1, 2]]}': "latents.0",
    '{"latents": [[[1, 2]]]}': "latents.0.0",
    '{"latents": []}': "latents.0",
    '{"latents": [[]]}': "latents.0",
    '{"latents": "secret"}': "latents",
    '{"latents": {"secret": [[1, 2]]}}': "latents",
    '{"colour": "secret"}': "colour",
    '{"count": 1}, "secret"': "body",
    '{"count": 1, "count": 2}': "body",
    '{"count": 1, "latents": [[1, 2]], "l\\u0061tents": [[3, 4]]}': "body",
    '{"latents": [[1, 2], [3, 4],]}': "body",
    '{"latents": [[1, 2][3, 4]]}': "body",
    '{"latents": [[1, 2], [3, NaN]]}': "body",
    '{"latents": [[1, 2], [3, -Infinity]]}': "body",
    '{"latents": ' + "[" * 100_000: "body",
    '{"latents": ' + "[" * 5000 + "]" * 5000 + "}": "body",
    '{"latents": [[1, 2], [' + "9" * 100_000 + ", 2]]}": "latents.1.0",
    '{"count": ' + "9" * 100_000 + "}": "count",
    '"secret"': "body",
    "null": "body",
    "": "body",
}


@pytest.mark.parametrize("text", list(WRONG), ids=lambda text: text[:40])
def test_the_place_of_the_first_fault_is_told_and_the_value_is_not(text: str) -> None:
    with pytest.raises(ProblemError) as raised:
        read_asked(text.encode(), 100, 2)
    detail = raised.value.problem.detail
    assert raised.value.problem.status == 422
    assert WRONG[text] in detail
    assert ("secret" in detail, "31337" in detail, len(detail) < 300) == (False, False, True)


def test_a_name_of_any_length_is_cut() -> None:
    with pytest.raises(ProblemError) as raised:
        read_asked(b'{"' + b"a" * 1_000_000 + b'": 1}', 100, 2)
    assert len(raised.value.problem.detail) < 300


@pytest.mark.parametrize("code", ["[]", "[1, 2]", '["x"]', "[[]]", '{"a": []}'])
def test_more_codes_than_a_key_may_send_are_not_read(code: str) -> None:
    with pytest.raises(ProblemError) as raised:
        read_asked(f'{{"latents": [{", ".join([code] * 101)}]}}'.encode(), 100, 2)
    assert raised.value.problem.status == 403


def test_without_a_width_codes_are_as_wide_as_the_first_one() -> None:
    latents = read_asked(b'{"latents": [[1, 2, 3], [4, 5, 6]]}', 100, None).latents
    assert latents is not None and latents.tolist() == [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]
    with pytest.raises(ProblemError, match=r"latents\.1"):
        read_asked(b'{"latents": [[1, 2, 3], [4, 5]]}', 100, None)


def test_entries_are_rounded_as_torch_rounds_them() -> None:
    entries = [0.1, 1 / 3, 16777217.0 / 2**20, 1e-45, 7e-46, -1e-320, 999.99999999]
    latents = read_asked(json.dumps({"latents": [entries]}).encode(), 100, len(entries)).latents
    assert latents is not None and torch.equal(latents, torch.tensor([entries], dtype=torch.float32))
