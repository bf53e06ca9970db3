"""What an unconditional gateway, its client and its ledger write is what they wrote before there were
conditions: requests, idempotency keys, answers, the ledger, metrics and the OpenAPI document.

`written_before.json` was written by this file's functions with ganguard at commit 58aedb1.
"""

import json
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

import fastapi
import httpx2 as httpx
import pydantic
import torch

from ganguard.queries.ledger import Ledger, Purchase
from ganguard.targets.http import remote
from ganguard.targets.wire import Scopes, to_npz
from ganguard.targets.wire_client import WireClient

WRITTEN = json.loads((Path(__file__).parent / "written_before.json").read_text())
SCOPES = {
    "codes": Scopes(send_latents=True),
    "seeds": Scopes(choose_seed=True),
    "both": Scopes(send_latents=True, choose_seed=True, most_images=5),
    "neither": Scopes(),
}
CODES = [[0.5, -0.5, 0.25, 1.0, -1.0], [0.1, 0.2, 0.3, 0.4, 0.5]]
BODIES: list[dict[str, Any]] = [
    {"count": 3},
    {"count": 2, "seed": 7, "start": 5, "format": "npz"},
    {"latents": CODES},
    {"count": 2, "latents": CODES, "format": "npz"},
    {"count": 0},
    {"count": 3, "seed": 1, "latents": CODES},
    {"latents": [[1.0]]},
    {"number": 3},
]


def asked(scopes: Scopes) -> list[list[str]]:
    """What a client of a gateway sends for some images: bodies and idempotency keys; and the identity."""
    sent: list[list[str]] = []
    account = {
        "account": "us",
        "budget": 1000,
        "spent": 0,
        "left": 1000,
        "scopes": scopes.model_dump(),
        "target": {
            "identity": "checkpoint:0a",
            "image_shape": [1, 8, 8],
            "latent_dim": 5 if scopes.send_latents else None,
            "prior": {"kind": "normal", "std": 1.0},
        },
    }

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, json=account)
        sent.append([request.content.decode(), request.headers["idempotency-key"]])
        body = json.loads(request.content)
        count = body.get("count") or len(body["latents"])
        return httpx.Response(200, content=to_npz(torch.zeros(count, 1, 8, 8, dtype=torch.uint8)))

    client = httpx.Client(transport=httpx.MockTransport(answer), base_url="http://testserver")
    with client:
        wire = WireClient("http://testserver", "key", direct=True, opened=lambda: nullcontext(client))
        target: Any = remote(wire)
        target.sample(range(60, 70), seed=3)
        if scopes.send_latents:
            target.generate(torch.tensor(CODES))
    return [*sent, [target.identity]]


def sold(gateway: Callable[..., Any]) -> dict[str, Any]:
    """What a gateway answers and records. Digests of what the machine decides are left out."""
    us = gateway()
    key, identity = us.key(), us.service.batching.inner.identity
    answers = [us.buy(key, f"k{place}", **body) for place, body in enumerate(BODIES)]
    account = us.get("/v1/account", key).text
    us.service.watch.update()
    with us.service.database.reading("see") as connection:
        rows = connection.exec_driver_sql("SELECT id, account, images, state, request FROM reservations")
        kept = [[*row[:4], row[4].partition(" by ")[0]] for row in rows.all()]
    lines = us.service.telemetry.text().decode().splitlines()
    return {
        "answers": [[a.status_code, "" if a.is_success else a.text] for a in answers],
        "account": re.sub("defended:[0-9a-f]+", "defended:", account.replace(identity, "IDENTITY")),
        "reservations": sorted(kept),
        "metrics": sorted({re.split(r" [0-9.e+-]+$", line)[0] for line in lines if "_created" not in line}),
        "tables": sorted(_tables(us.service.database)),
    }


def _tables(database: Any) -> list[str]:
    with database.reading("see") as connection:
        asked = "SELECT name FROM sqlite_master WHERE type = 'table'"
        return list(connection.exec_driver_sql(asked).scalars())


def recorded(path: Path) -> list[str]:
    """The statements that would write a ledger again, after some purchases."""
    with Ledger(path) as ledger:
        ledger.open_account("us", 100)
        ledger.ensure_account("them", 5)
        ledger.reserve("a", "us", 30, "first")
        ledger.reserve_all([Purchase("b", "us", 20, "second"), Purchase("c", "them", 9, "third")])
        ledger.commit("a")
        ledger.reserve("d", "us", 5, "fourth")
        ledger.release("d")
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


def described(gateway: Callable[..., Any]) -> dict[str, Any]:
    """The OpenAPI document, and the versions of what writes most of it."""
    document = gateway().client.get("/openapi.json").json()
    document["info"].pop("version")
    return {"by": [fastapi.__version__, pydantic.__version__], "document": document}


def test_a_client_sends_the_same_bytes_under_the_same_keys() -> None:
    assert {name: asked(scopes) for name, scopes in SCOPES.items()} == WRITTEN["asked"]


def test_a_gateway_answers_and_records_the_same(gateway: Callable[..., Any]) -> None:
    assert sold(gateway) == WRITTEN["sold"]


def test_a_ledger_holds_the_same(tmp_path: Path) -> None:
    assert recorded(tmp_path / "ledger.sqlite") == WRITTEN["recorded"]


def test_the_openapi_document_is_the_same(gateway: Callable[..., Any]) -> None:
    found, before = described(gateway), WRITTEN["described"]
    ours = ("ImagesRequest", "ImagesAnswer", "AccountAnswer", "Served", "Scopes")
    schemas, wanted = (each["document"]["components"]["schemas"] for each in (found, before))
    assert {name: schemas[name] for name in ours} == {name: wanted[name] for name in ours}
    if found["by"] == before["by"]:
        assert found["document"] == before["document"]
