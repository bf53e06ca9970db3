"""The operator's page: purchases by account, extraction risk, samples of what customers get, and load."""

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
from ganguard.gateway.http.auth import admin_of
from ganguard.gateway.http.pages import HEADERS, template
from ganguard.gateway.shop.keys import Key
from ganguard.gateway.shop.offers import OPERATOR
from ganguard.gateway.shop.service import Service
from ganguard.gateway.spec import DEFAULT_CLASS
from ganguard.gateway.watch.detection import Sign
from ganguard.gateway.watch.journal import DAY, HOUR
from ganguard.gateway.watch.risk import Risk
from ganguard.gateway.watch.thresholds import Crossing
from ganguard.queries.ledger import Balance

SAMPLES = 8  # images shown for each class
FRESH = 30.0  # seconds before samples are made again
HOURS = 48  # hours of purchases that the bar chart shows
_WIDTH, _HEIGHT = 192, 40  # of the bar chart, in units of its viewBox


@dataclass(frozen=True)
class AccountRow:
    """An account as the page shows it.

    Attributes:
        balance: its budget and purchases.
        class_: its class.
        keys: number of its keys in force.
        risk: how near a copy could come; None if it is not known.
        signs: its signs of copying.
        bars: the bars of its chart (see `bars`).
        recent: images that it asked for in the last day.
        crossings: the risk thresholds that it has reached.
    """

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
        """The spent share of its budget, in percent."""
        return 100 * self.balance.reserved / self.balance.budget if self.balance.budget else 0.0


@dataclass(frozen=True)
class Sample:
    """Images as customers of a class get them.

    Attributes:
        class_: the class.
        defences: the label of its defences.
        png: a PNG file with the images in a row, in base64.
    """

    class_: str
    defences: str
    png: str


def router(service: Service) -> APIRouter:
    """Return the route of a service's operator page."""
    routes, samples = APIRouter(), _Samples(service)

    @routes.get("/", include_in_schema=False, response_class=HTMLResponse)
    def page(key: Annotated[Key, Depends(admin_of(service))]) -> HTMLResponse:
        return HTMLResponse(render(service, samples.now()), headers=HEADERS)

    _ = page
    return routes


def render(service: Service, samples: Sequence[Sample]) -> str:
    """Return the page as HTML."""
    service.update_risk()
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
    """Return a row for every account, by descending purchases."""
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
    """Lay out a bar chart of images by hour; its right edge is now, and its tallest bar fills the height.

    Args:
        spent: (start of the hour in seconds since 1970, images), ascending.
        now: seconds since 1970.

    Returns:
        (x, y, width, height) of each bar of the last HOURS hours.
    """
    most = max((images for _, images in spent), default=1)
    wide, last = _WIDTH / HOURS, now // HOUR
    found: list[tuple[float, float, float, float]] = []
    for hour, images in spent:
        x, height = _WIDTH - (last - hour // HOUR + 1) * wide, max(1.0, _HEIGHT * images / most)
        if x >= 0:
            found.append((round(x, 2), round(_HEIGHT - height, 2), round(wide * 0.8, 2), round(height, 2)))
    return found


class _Samples:
    """Sample images for each class, made again every FRESH seconds. No account pays for them."""

    def __init__(self, service: Service) -> None:
        self._service, self._made, self._at = service, list[Sample](), 0.0

    def now(self) -> list[Sample]:
        """Return samples at most FRESH seconds old."""
        if not self._made or time.monotonic() - self._at > FRESH:
            self._made, self._at = [self._sample(class_) for class_ in self._classes()], time.monotonic()
        return self._made

    def _classes(self) -> list[str]:
        return sorted({DEFAULT_CLASS, *self._service.spec.classes})

    def _sample(self, class_: str) -> Sample:
        images = self._service.target_for(OPERATOR, class_).sample(range(SAMPLES), seed=int(time.time()))
        png = b64encode(encode_png(_row(images))).decode()
        return Sample(class_, chain_label(self._service.spec.class_of(class_).defences), png)


def _row(images: Tensor) -> Tensor:
    """Put images (N, C, H, W) side by side with grey lines between them: (C, H, N (W + 1))."""
    return torch.cat(list(pad(images, (0, 1), value=128)), dim=2)


def _day(at: float) -> str:
    """Format the day of a time in seconds since 1970, in UTC."""
    return time.strftime("%d %b %Y", time.gmtime(at))
