"""The gateway does what its OpenAPI document says, and refuses what the document does not allow, as
schemathesis sees it."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

# Of what the document allows, 422 refuses what no schema says: a count beside codes that are more or fewer,
# codes of another width, a seed beside codes, an idempotency key that stands for another request, or a name
# that is no condition's. Names that are longer than the schema allows may be too large a body (413).
CONFIGURATION = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "401", "402", "403", "422", "429"]

[checks.negative_data_rejection]
expected-statuses = ["400", "401", "403", "404", "405", "406", "409", "413", "415", "422", "429", "5xx"]
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["gateway", "conditional"])
def test_schemathesis_finds_no_fault(
    request: pytest.FixtureRequest, at_a_socket: Any, tmp_path: Path, kind: str
) -> None:
    us = request.getfixturevalue(kind)()
    with at_a_socket(us.client.app) as port:
        _find_no_fault(us, port, tmp_path)


def _find_no_fault(us: Any, port: int, tmp_path: Path) -> None:
    (tmp_path / "schemathesis.toml").write_text(CONFIGURATION)
    authorization = f"--header=Authorization: Bearer {us.key(budget=10**6)}"
    arguments = [
        "--checks=all",
        "--max-examples=100",
        "--seed=1",
        "--continue-on-failure",
        authorization,
    ]
    run = "from schemathesis.cli import schemathesis; schemathesis()"
    command = [sys.executable, "-c", run, "run", f"http://127.0.0.1:{port}/openapi.json", *arguments]
    found = subprocess.run(
        command, cwd=tmp_path, env=os.environ, capture_output=True, text=True, timeout=600, check=False
    )
    assert found.returncode == 0, found.stdout
    assert "Tested: 2" in found.stdout
    reserved, delivered = us.counts()
    assert reserved == delivered > 0


def test_a_method_that_there_is_not_is_told_which_there_are(gateway: Any) -> None:
    client: TestClient = gateway().client
    answer = client.request("TRACE", "/v1/images")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert answer.json()["title"] == "Method Not Allowed"
