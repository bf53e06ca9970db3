"""The operator's page: who bought how much, how near copies could be, what customers get, and how the gateway
does."""

import time
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from fastapi import APIRouter, Depends
from fastapi.responses import HTMLResponse
from torch import Tensor
from torch.nn.functional import pad

from ganguard.base.codecs import encode_png
from ganguard.defences.protocol import chain_label
from ganguard.gateway.http.pages import HEADERS, template
from ganguard.gateway.http.routes import admin_of
from ganguard.gateway.shop.keys import Key
from ganguard.gateway.shop.service import Risk, Service
from ganguard.gateway.spec import DEFAULT_CLASS
from ganguard.gateway.watch.detection import Sign
from ganguard.gateway.watch.journal import DAY, HOUR
from ganguard.gateway.watch.thresholds import Crossing
from ganguard.queries.ledger import Balance

SAMPLES = 8  # images of each class
FRESH = 30.0  # seconds that a sample is shown before it is made anew
HOURS = 48  # of the spend that is drawn
_WIDTH, _HEIGHT = 192, 40  # of that drawing


@dataclass(frozen=True)
class AccountRow:
    """An account as the page shows it. bars: x, y, width, height of each hour's images."""

    balance: Balance
    class_: str
    keys: int
    risk: Risk | None
    signs: list[Sign]
    bars: list[tuple[float, float, float, float]]
    recent: int
    crossings: list[Crossing]

    @property
    def share(self) -> float:
        """Of its budget, in percent."""
        return 100 * self.balance.reserved / self.balance.budget if self.balance.budget else 0.0


@dataclass(frozen=True)
class Sample:
    """Images behind the defences of a class, as the data of a PNG file."""

    class_: str
    defences: str
    png: str


def router(service: Service) -> APIRouter:
    """The page of a service."""
    routes, samples = APIRouter(), _Samples(service)

    @routes.get("/", include_in_schema=False, response_class=HTMLResponse)
    def page(key: Annotated[Key, Depends(admin_of(service))]) -> HTMLResponse:
        return HTMLResponse(render(service, samples.now()), headers=HEADERS)

    _ = page
    return routes


def render(service: Service, samples: Sequence[Sample]) -> str:
    """The page as HTML."""
    service.look()
    return template("operator.html.j2", day=_day).render(
        target=service.batching.inner.identity[:40],
        shape="×".join(map(str, service.batching.inner.image_shape)),
        audited=service.audited.name if service.audited else None,
        out_of_reach=service.out_of_reach(),
        accounts=account_rows(service),
        samples=samples,
        waiting=service.batching.waiting,
        inside=service.admission.inside,
        p50=service.telemetry.quantile(0.5),
        p99=service.telemetry.quantile(0.99),
        hours=HOURS,
        width=_WIDTH,
        height=_HEIGHT,
    )


def account_rows(service: Service) -> list[AccountRow]:
    """Every account, those first that have bought most."""
    keys = [key for key in service.keys.listed() if not key.revoked]
    classes = service.classes()
    hours = service.journal.since(time.time() - HOURS * HOUR)
    balances = sorted(service.ledger.balances(), key=lambda balance: (-balance.reserved, balance.account))
    signs = service.journal.signs([balance.account for balance in balances])
    crossings = service.crossings.by_account()

    def row(balance: Balance) -> AccountRow:
        class_ = classes.get(balance.account, DEFAULT_CLASS)
        spent = hours.get(balance.account, [])
        return AccountRow(
            balance,
            class_,
            sum(key.account == balance.account for key in keys),
            service.risk(balance, class_),
            signs[balance.account],
            bars(spent, time.time()),
            sum(images for hour, images in spent if hour >= time.time() - DAY),
            crossings.get(balance.account, []),
        )

    return [row(balance) for balance in balances]


def bars(spent: Sequence[tuple[float, int]], now: float) -> list[tuple[float, float, float, float]]:
    """(x, y, width, height) of the images of each hour, in a drawing whose right edge is now and whose
    tallest bar fills it."""
    most = max((images for _, images in spent), default=1)
    wide, last = _WIDTH / HOURS, now // HOUR
    found: list[tuple[float, float, float, float]] = []
    for hour, images in spent:
        x, height = _WIDTH - (last - hour // HOUR + 1) * wide, max(1.0, _HEIGHT * images / most)
        if x >= 0:
            found.append((round(x, 2), round(_HEIGHT - height, 2), round(wide * 0.8, 2), round(height, 2)))
    return found


class _Samples:
    """A grid of images for each class, made anew now and then. They are the operator's own: no account pays
    for them."""

    def __init__(self, service: Service) -> None:
        self._service, self._made, self._at = service, list[Sample](), 0.0

    def now(self) -> list[Sample]:
        """The grids, at most FRESH seconds old."""
        if not self._made or time.monotonic() - self._at > FRESH:
            self._made, self._at = [self._sample(class_) for class_ in self._classes()], time.monotonic()
        return self._made

    def _classes(self) -> list[str]:
        return sorted({DEFAULT_CLASS, *self._service.spec.classes})

    def _sample(self, class_: str) -> Sample:
        images = self._service.target_for("operator", class_).sample(range(SAMPLES), seed=int(time.time()))
        png = b64encode(encode_png(_row(images))).decode()
        return Sample(class_, chain_label(self._service.spec.class_of(class_).defences), png)


def _row(images: Tensor) -> Tensor:
    """Images (N, C, H, W) beside each other, a grey line between them, (C, H, N (W + 1))."""
    return torch.cat(list(pad(images, (0, 1), value=128)), dim=2)


def _day(at: float) -> str:
    """The day of a time in seconds since 1970, in UTC."""
    return time.strftime("%d %b %Y", time.gmtime(at))
