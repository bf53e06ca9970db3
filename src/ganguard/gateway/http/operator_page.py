"""The operator's page: purchases by account, extraction risk, samples of what customers get, and load."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query
from fastapi.responses import HTMLResponse

from ganguard.base.settings import one_line
from ganguard.gateway.http.auth import admin_of
from ganguard.gateway.http.pages import HEADERS, template
from ganguard.gateway.http.samples import Sample, Samples
from ganguard.gateway.shop.keys import Key
from ganguard.gateway.shop.service import Service
from ganguard.gateway.spec import DEFAULT_CLASS
from ganguard.gateway.watch.accounts import AccountPage, account_page, keys_in_force
from ganguard.gateway.watch.by_condition import ConditionsBought
from ganguard.gateway.watch.hours import DAY, HOUR, KEPT, by_hour, hour_now
from ganguard.gateway.watch.raised_signs import RaisedSign, raised_of
from ganguard.gateway.watch.risk import Risk
from ganguard.gateway.watch.risk_watch import classes
from ganguard.gateway.watch.signs import FAR, NAMES, ONE, RATE, Sign
from ganguard.gateway.watch.thresholds import Crossing
from ganguard.targets.conditions import LONGEST_SAID

LONGEST_NAME = 80  # characters of an account's name that are looked for
_WIDTH, _HEIGHT = 192, 40  # of the bar chart, in units of its viewBox


@dataclass(frozen=True)
class AccountRow:
    """An account as the page shows it.

    Attributes:
        name: its name.
        budget: images that it may buy in all.
        bought: images that it has bought.
        class_: its class.
        keys: number of its keys in force.
        risk: how near a copy could come; None if it is not known.
        signs: its signs of copying, as (now, raised): the statistic as it is now, None if there are too few
            codes; and when it was raised, None if it never was.
        bars: the bars of its chart (see `bars`).
        recent: images that it asked for in the last day.
        crossings: the risk thresholds that it has reached.
        conditions: what it bought of each class or prompt; None if nothing is known.
    """

    name: str
    budget: int
    bought: int
    class_: str
    keys: int
    risk: Risk | None
    signs: list[tuple[Sign | None, RaisedSign | None]]
    bars: list[tuple[float, float, float, float]]
    recent: int
    crossings: list[Crossing]
    conditions: ConditionsBought | None

    @property
    def share(self) -> float:
        """The spent share of its budget, in percent."""
        return 100 * self.bought / self.budget if self.budget else 0.0


def router(service: Service) -> APIRouter:
    """Return the route of a service's operator page."""
    routes, samples = APIRouter(), Samples(service)

    @routes.get("/", include_in_schema=False, response_class=HTMLResponse)
    def page(
        key: Annotated[Key, Depends(admin_of(service))],
        page: Annotated[int, Query(ge=1, le=10**9)] = 1,
        account: Annotated[str, Query(max_length=LONGEST_NAME)] = "",
    ) -> HTMLResponse:
        return HTMLResponse(render(service, samples.now(), page, account), headers=HEADERS)

    _ = page
    return routes


def render(service: Service, samples: Sequence[Sample], number: int = 1, wanted: str = "") -> str:
    """Return the page as HTML.

    Args:
        service: the gateway.
        samples: images as customers get them.
        number: which page of accounts, from 1.
        wanted: a part of the names of the accounts to show; all if empty.
    """
    service.watch.update()
    page = account_page(service.database, number, wanted)
    form = template("operator.html.j2", moment=_moment, statistic=_statistic)
    return form.render(
        target=service.batching.inner.identity[:40],
        shape="×".join(map(str, service.batching.inner.image_shape)),
        audited=service.watch.audited.name if service.watch.audited else None,
        out_of_reach=service.watch.out_of_reach(),
        page=page,
        wanted=wanted,
        link=partial(_link, wanted),
        accounts=account_rows(service, page),
        samples=samples,
        waiting=service.batching.waiting,
        inside=service.admission.inside,
        p50=service.telemetry.quantile(0.5),
        p99=service.telemetry.quantile(0.99),
        hours=KEPT,
        width=_WIDTH,
        height=_HEIGHT,
    )


def _link(wanted: str, number: int) -> str:
    """Return the address of a page of accounts."""
    return "?" + urlencode({"page": number} | ({"account": wanted} if wanted else {}))


def account_rows(service: Service, page: AccountPage) -> list[AccountRow]:
    """Return a row for every account of a page, in its order."""
    database, accounts = service.database, list(page.bought)
    keys, class_of = keys_in_force(database, accounts), classes(database, service.spec, accounts)
    hours, crossings = by_hour(database, accounts), service.watch.crossings.of(accounts)
    now, raised = service.journal.signs(accounts), raised_of(database, accounts)
    watched = service.watch.by_condition
    known = {account: class_of.get(account, DEFAULT_CLASS) for account in accounts}
    of_conditions = watched.bought(accounts, known) if watched else {}

    def row(account: str, budget: int, bought: int) -> AccountRow:
        class_, spent = class_of.get(account, DEFAULT_CLASS), hours.get(account, [])
        one = watched.signs.sign(account) if watched else None
        found = [*now[account], service.watch.rates.sign(account), *([one] if one else [])]
        signs = {sign.name: sign for sign in found}
        before = {sign.sign: sign for sign in raised if sign.account == account}
        return AccountRow(
            account,
            budget,
            bought,
            class_,
            keys.get(account, 0),
            service.watch.risk(bought, class_),
            [(signs.get(name), before.get(name)) for name in (*NAMES, ONE) if name in signs | before],
            bars(spent, hour_now()),
            sum(images for hour, images in spent if hour > hour_now() - DAY // HOUR),
            crossings.get(account, []),
            of_conditions.get(account),
        )

    return [row(account, *images) for account, images in page.bought.items()]


def bars(spent: Sequence[tuple[int, int]], last: int) -> list[tuple[float, float, float, float]]:
    """Lay out a bar chart of images by hour; its tallest bar fills the height.

    Args:
        spent: (hours since 1970, images), ascending.
        last: the hour at the right edge.

    Returns:
        (x, y, width, height) of each bar of the last KEPT hours.
    """
    most = max((images for _, images in spent), default=1)
    wide = _WIDTH / KEPT
    found: list[tuple[float, float, float, float]] = []
    for hour, images in spent:
        x, height = _WIDTH - (last - hour + 1) * wide, max(1.0, _HEIGHT * images / most)
        if x >= 0:
            found.append((round(x, 2), round(_HEIGHT - height, 2), round(wide * 0.8, 2), round(height, 2)))
    return found


def _moment(at: float) -> str:
    """Format a time in seconds since 1970, in UTC."""
    return time.strftime("%d %b %Y, %H:%M UTC", time.gmtime(at))


def _statistic(sign: Sign | RaisedSign, name: str) -> str:
    """Say the value of a sign, the window that it is of, and its limit."""
    if sign.value is None:
        return "—"
    if name == RATE:
        return f"{sign.value:,.3g} times; limit {sign.limit:g} times"
    if name == ONE:
        of = f" of {one_line(sign.of, LONGEST_SAID)}" if isinstance(sign, Sign) and sign.of else ""
        return f"{100 * sign.value:.3g} %{of}, of {sign.codes:,} requests; limit {100 * sign.limit:.3g} %"
    if name == FAR:
        return f"mean square {sign.value:.2f} over the last {sign.codes:,} codes; limit {sign.limit:.2f}"
    return f"{100 * sign.value:.3g} % of the last {sign.codes:,} codes; limit {100 * sign.limit:.3g} %"
