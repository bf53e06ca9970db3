"""How often the gateway's signs of copying are raised, by honest customers and by adversaries.

    python benchmarks/detection.py

Simulated honest customers give the rate of false alarms. They ask for 1 to 64 images at a time, for 64 to
3,000 in all, or for 3,000 to 30,000. They leave the codes to the provider; or draw them from the prior; or
truncate them to 0.5 to 1 of it; or round them to 4 digits; or take 2 % of their codes from a few.

The audits' own adversaries give the rate of detection. They send codes drawn from the prior, once each
(`codes: client`); or every code several times (`averaging`, moved by 0 or 0.05), also with 2,000 others
between one copy and the next. Others do what no audit does: codes on a lattice, and codes far from the prior.
Some send 20,000 codes of the prior first, and then 40 codes 25 times each, at once or among further codes of
the prior.
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from ganguard.base.seeds import derived_seed, normal
from ganguard.gateway.watch.account_codes import AccountCodes, Kept
from ganguard.gateway.watch.code_sketch import Grids
from ganguard.gateway.watch.signs import rate_sign, usual_rate

ADVERSARIES = 60
WIDTHS = (16, 64, 128)  # entries of a code
Requests = Iterator[Tensor | int]  # codes, or a number of images without codes


def requests(total: int, draw: np.random.Generator) -> Iterator[range]:
    """Yield ranges of the image index, one for each request."""
    place = 0
    while place < total:
        count = min(int(draw.integers(1, 65)), total - place)
        yield range(place, place + count)
        place += count


def honest(number: int, width: int, total: int) -> Requests:
    draw, seed = np.random.default_rng(number), derived_seed(number, "honest")
    kind, truncation = number % 5, draw.uniform(0.5, 1.0)
    favourites = normal(seed, "favourites", range(10), width)
    for indices in requests(total, draw):
        codes = normal(seed, "codes", indices, width)
        if kind == 0:
            yield len(codes)
        elif kind == 1:
            yield codes
        elif kind == 2:
            yield truncation * codes
        elif kind == 3:
            yield torch.round(codes, decimals=4)
        else:
            again = torch.from_numpy(draw.random(len(codes)) < 0.02)
            yield torch.where(
                again[:, None], favourites[torch.from_numpy(draw.integers(0, 10, len(codes)))], codes
            )


def prior(number: int, width: int, total: int) -> Requests:
    for start in range(0, total, 64):
        yield normal(number, "codes", range(start, min(start + 64, total)), width)


def averaging(moved: float, copies: int = 8) -> Callable[[int, int, int], Requests]:
    def traffic(number: int, width: int, total: int) -> Requests:
        for start in range(0, total, 64):
            codes = normal(number, "codes", range(start, start + 64 // copies), width).repeat_interleave(
                copies, 0
            )
            yield codes + moved * normal(number, "averaging", range(start, start + 64), width)

    return traffic


def spaced(moved: float, every: int = 2000) -> Callable[[int, int, int], Requests]:
    """Return traffic that asks for the same codes repeatedly, with `every` of them between two copies."""

    def traffic(number: int, width: int, total: int) -> Requests:
        codes = normal(number, "codes", range(every), width)
        for start in range(0, total, 64):
            asked = torch.arange(start, min(start + 64, total)) % every
            yield codes[asked] + moved * normal(number, "spaced", range(start, start + len(asked)), width)

    return traffic


def lattice(number: int, width: int, total: int) -> Requests:
    yield from (codes.round() for codes in prior(number, width, total) if isinstance(codes, Tensor))


def far(number: int, width: int, total: int) -> Requests:
    yield from (2 * codes for codes in prior(number, width, total) if isinstance(codes, Tensor))


def burst(moved: float, among: int, first: int = 20_000) -> Callable[[int, int, int], Requests]:
    """Return traffic of `first` codes of the prior, and then of 40 codes 25 times each.

    Args:
        moved: how far the copies are moved, in standard deviations.
        among: codes of the prior after each copy.
        first: codes of the prior before the copies.
    """

    def traffic(number: int, width: int, total: int) -> Requests:
        copies = normal(number, "codes", range(40), width).repeat_interleave(25, 0)
        copies += moved * normal(number, "burst", range(len(copies)), width)
        others = normal(number, "others", range(first + among * len(copies)), width)
        later = others[first:].view(len(copies), among, width)
        sent = torch.cat([copies[:, None], later], 1).reshape(-1, width)
        yield from torch.cat([others[:first], sent]).split(64)

    return traffic


def raised(traffic: Requests, width: int) -> set[str]:
    """Return the signs of codes that an account raises, at whatever time."""
    account, grids, signs = AccountCodes(Kept()), Grids(width, 0), set[str]()
    for asked in traffic:
        if isinstance(asked, Tensor):
            signs |= {sign.name for sign in account.observe(asked, grids)}
    return signs


def false_alarms(customers: int, fewest: int, most: int) -> None:
    draw = np.random.default_rng(0)
    totals = np.exp(draw.uniform(np.log(fewest), np.log(most), customers)).astype(int)
    alarmed = 0
    for number, total in enumerate(totals):
        width = WIDTHS[number % len(WIDTHS)]
        alarmed += bool(raised(honest(number, width, int(total)), width))
    print(
        f"signs of codes, {customers:,} honest customers of {fewest:,} to {most:,} images: {alarmed} false "
        "alarms",
        flush=True,
    )


def daily_alarms() -> None:
    """Print the alarms in days of 200 customers.

    Their demand is lognormal, with standard deviation 1 of its logarithm.
    """
    draw, days, alarmed = np.random.default_rng(1), 500, 0
    for _ in range(days):
        images = np.ceil(np.exp(draw.normal(4.0, 1.0, 200))).astype(int).tolist()
        alarmed += sum(rate_sign(today, usual_rate(images)).raised for today in images)
    print(
        f"sign of the rate, {days} days of 200 honest customers: {alarmed / (200 * days):.2%} of customers "
        "and days",
        flush=True,
    )


def detected(
    name: str, adversary: Callable[[int, int, int], Requests], totals: tuple[int, ...] = (200, 2000)
) -> None:
    for total in totals:
        widths = [WIDTHS[number % len(WIDTHS)] for number in range(ADVERSARIES)]
        found = [bool(raised(adversary(n, width, total), width)) for n, width in enumerate(widths)]
        print(f"{name:46} {total:6,} images   detected {sum(found) / ADVERSARIES:7.1%}", flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    false_alarms(5000, 64, 3000)
    false_alarms(500, 3000, 30_000)
    daily_alarms()
    detected("codes of the prior, once each", prior)
    detected("averaging, 8 times the same code", averaging(0.0))
    detected("averaging, 8 codes moved by 0.05", averaging(0.05))
    for moved in (0.0, 0.05, 0.1):
        detected(f"averaging, 2,000 codes between, moved by {moved:g}", spaced(moved), (4000, 8000))
    detected("codes on a lattice of whole numbers", lattice)
    detected("codes of twice the prior's size", far)
    for moved in (0.0, 0.05):
        for among in (0, 1, 5, 20):
            named = f"40 codes 25 times, {among} between, moved by {moved:g}"
            detected(named, burst(moved, among), (20_000 + 1000 * (1 + among),))
