"""An image API on loopback that answers with jobs."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from api_server import Answer, Asked, ImageApi, entry


@dataclass
class Jobs:
    """An API whose requests begin jobs, which are there at the third look.

    Attributes:
        looks: of each job, how often it was looked at.
        ends: the word of each job that ends, in turn; "succeeded" after them.
        headers: of every look.
        pending: what the first looks get.
    """

    api: ImageApi
    ends: list[str] = field(default_factory=list)
    looks: list[int] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    began: Callable[[dict[str, Any]], dict[str, Any]] = lambda said: said
    pending: Answer = (200, {}, b'{"status": "IN_PROGRESS", "output": null}')
    raw: bool = False
    _made: dict[int, bytes] = field(default_factory=dict)

    def answer(self, asked: Asked) -> Answer:
        if "/jobs/" in asked.path or "/results/" in asked.path:
            return self.look(asked)
        self.api.asked.append(asked)
        if self.api.script:
            return self.api.script.pop(0)(self.api)
        number = len(self.looks)
        self.looks.append(0)
        url = f"{self.api.url}/jobs/{number}"
        said = {"id": f"job {number}", "number": number, "urls": {"get": url, "relative": f"jobs/{number}"}}
        return 201, {}, json.dumps(self.began({**said, "status": "queued"})).encode()

    def count(self, number: int) -> int:
        """Return how many images the request of a job asked for, if its body says `n`."""
        body = self.api.asked[number].body
        return int(json.loads(body).get("n", 1)) if body.startswith(b"{") else 1

    def look(self, asked: Asked) -> Answer:
        assert (asked.method, asked.body) == ("GET", b"")
        self.headers.append(asked.headers)
        number = int(asked.path.rpartition("/")[2].removeprefix("job%20"))
        if "/results/" in asked.path:
            return 200, {}, self._made[number]
        self.looks[number] += 1
        if self.looks[number] < 3:
            return self.pending
        if number not in self._made:
            end = self.ends.pop(0) if self.ends else "Succeeded"
            images = self.count(number)
            output = [entry(self.api)["b64_json"] for _ in range(images)] if end == "Succeeded" else None
            self._made[number] = json.dumps({"status": end, "output": output}).encode()
            if self.raw:
                self._made[number] = base64.b64decode(json.loads(self._made[number])["output"][0])
        return 200, {}, self._made[number]


def of_jobs(api: ImageApi) -> Jobs:
    """Have an API answer with jobs from now on."""
    jobs = Jobs(api)
    api.answer = jobs.answer  # type: ignore[method-assign]
    return jobs
