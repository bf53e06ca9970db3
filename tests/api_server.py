"""An image API on loopback that is not ganguard's: it knows no request again, and charges each of them."""

import base64
import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
from PIL import Image


@dataclass
class Asked:
    """One request that came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


Answer = tuple[int, dict[str, str], bytes] | None
"""Status, headers and content; None closes the connection without an answer."""


@dataclass
class ImageApi:
    """Image k that is made is filled with k noisy levels, so that none equals another.

    Attributes:
        pause: seconds that each answer takes, however many are asked for at once.
        made: how many images were made: what the API charges.
        waiting, most_waiting: how many requests wait for their answers now, and how many did at most.
        asked: every request, in order.
        script: what the next requests get, in place of an image.
    """

    size: tuple[int, int] = (8, 8)
    form: str = "b64_json"
    pause: float = 0.0
    made: int = 0
    waiting: int = 0
    most_waiting: int = 0
    asked: list[Asked] = field(default_factory=list)
    script: list[Callable[["ImageApi"], Answer]] = field(default_factory=list)
    url: str = ""
    _pictures: dict[str, bytes] = field(default_factory=dict)

    def picture(self) -> bytes:
        """Make an image, and charge it."""
        self.made += 1
        height, width = self.size
        pixels = np.random.default_rng(self.made).integers(0, 256, (height, width, 3), np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, format="PNG")
        return buffer.getvalue()

    def answer(self, asked: Asked) -> Answer:
        if asked.path in self._pictures:
            return 200, {"Content-Type": "image/png"}, self._pictures[asked.path]
        self.asked.append(asked)
        return self.script.pop(0)(self) if self.script else good(self)

    def keep(self, picture: bytes) -> str:
        """Return the address of a picture that is kept here."""
        path = f"/kept/{self.made}.png"
        self._pictures[path] = picture
        return f"{self.url}{path}"


def good(api: ImageApi) -> Answer:
    if api.form == "raw":
        return 200, {"Content-Type": "image/png"}, api.picture()
    return several(1)(api)


def several(count: int) -> Callable[[ImageApi], Answer]:
    """Answer with so many images, whatever was asked for."""

    def answer(api: ImageApi) -> Answer:
        return 200, {}, json.dumps({"created": 1, "data": [entry(api) for _ in range(count)]}).encode()

    return answer


def as_many_as_asked(api: ImageApi) -> Answer:
    """Answer with `n` images, as OpenAI's form has it."""
    return several(api.asked[-1].json()["n"])(api)


def entry(api: ImageApi) -> dict[str, str]:
    """Make an image, and return it as it stands in an answer."""
    picture = api.picture()
    if api.form == "url":
        return {"url": api.keep(picture)}
    return {api.form: base64.b64encode(picture).decode()}


def status(code: int, said: str = "{}", **headers: str) -> Callable[[ImageApi], Answer]:
    return lambda api: (code, {k.replace("_", "-"): v for k, v in headers.items()}, said.encode())


def charged_and_lost(api: ImageApi) -> Answer:
    """The image is made and charged, and the connection breaks before the answer."""
    api.picture()
    return None


@contextmanager
def serving(**values: Any) -> Iterator[ImageApi]:
    """Serve an API on a free port of this machine."""
    api, lock = ImageApi(**values), threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            with lock:
                api.waiting += 1
                api.most_waiting = max(api.most_waiting, api.waiting)
            time.sleep(api.pause)
            with lock:
                api.waiting -= 1
                answer = api.answer(Asked(self.command, self.path, dict(self.headers), body))
            if answer is None:
                self.close_connection = True
                return
            code, headers, content = answer
            self.send_response(code)
            for name, value in {"Content-Length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_PUT = do_POST

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    api.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
