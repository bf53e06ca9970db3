"""An audit of a pipeline that makes images of texts: three prompts, bought, learnt and measured by prompt."""

from collections import Counter
from pathlib import Path

import pipelines
import pytest

from ganguard.audit.run import audit
from ganguard.audit.spec.spec import Spec
from ganguard.base.codecs import encode_png
from ganguard.base.settings import parse
from ganguard.data.dataset import load_dataset, parse_dataset
from ganguard.queries.store import Store
from ganguard.results.records import AuditResults, read_results

TEXTS = ("an owl", "a cat, asleep", "two dogs")
ATTACK = {"kind": "fidelity", "query_budget": 60, "steps": 2, "batch_size": 8, "n_dis": 1}
PLAIN = {**ATTACK, "architecture": {"kind": "sngan", "width": 4}}
KNOWING = {**ATTACK, "architecture": {"kind": "sngan", "width": 4, "classes": 3}}

pytestmark = pytest.mark.slow


def in_colour(folder: Path) -> Path:
    """Save 200 digits as the pipeline's images are: 16x16 pixels, in colour."""
    folder.mkdir()
    digits = load_dataset(parse_dataset("digits")).images[:200].repeat(1, 3, 1, 1)
    for number, image in enumerate(digits.repeat_interleave(2, 2).repeat_interleave(2, 3)):
        (folder / f"{number}.png").write_bytes(encode_png(image))
    return folder


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("prompts")
    pipelines.texts(directory / "pipeline")
    (directory / "prompts.txt").write_text("\n".join(TEXTS))
    spec = {
        "target": {
            "diffusers": str(directory / "pipeline"),
            "prompts": str(directory / "prompts.txt"),
            "steps": 2,
            "batch": 8,
        },
        "real": str(in_colour(directory / "real")),
        "features": "random_network",
        "attacks": [PLAIN, KNOWING, {**KNOWING, "ask": [TEXTS[0]]}],
        "independent": "off",
        "samples": 60,
        "even_if": "target_broken",
    }
    out = directory / "out"
    audit("prompts", parse(Spec, spec, "spec"), out, processes=1, listener=lambda event: None)
    return out


def of_copies(results: AuditResults) -> set[tuple[str | None, str | None]]:
    found = results.select(subject="substitute", metric="intra_fd", against="target")
    return {(m.attack, m.condition) for m in found}


def test_a_set_of_prompts_is_audited_end_to_end(audited: Path) -> None:
    results = read_results(audited)
    assert results.failures == ()
    known = results.target.conditions
    assert known is not None
    assert (known.kind, known.names) == ("prompts", TEXTS)
    knowing = "fidelity sngan with labels"
    every = {(label, text) for label in (knowing, f"{knowing}, asks only an owl") for text in (None, *TEXTS)}
    assert of_copies(results) == every
    assert "prompt" in (audited / "report.html").read_text().lower()


def test_each_image_was_bought_for_its_prompt(audited: Path) -> None:
    stores = [Store.open(path) for path in (audited / "purchases").iterdir()]
    bought = {store.ask and store.ask.only: Counter(store.read_conditions(60)) for store in stores}
    assert set(bought[None]) == set(TEXTS)
    assert bought["an owl",] == {"an owl": 60}
