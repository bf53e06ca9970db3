"""How often the gateway's signs of copying are raised, by honest customers and by adversaries.

    python benchmarks/detection.py

Simulated honest customers give the rate of false alarms. They ask for 1 to 64 images at a time, for 64 to
3,000 in all, or for 3,000 to 30,000. They leave the codes to the provider; or draw them from the prior; or
truncate them to 0.5 to 1 of it; or round them to 4 digits; or take 2 % of their codes from a few.

The audits' own adversaries give the rate of detection. They send codes drawn from the prior, once each
(`codes: client`); or every code several times (`averaging`, moved by 0 or 0.05), also with 2,000 others
between one copy and the next. Two more do what no audit does: codes on a lattice, and codes far from the
prior.
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from ganguard.base.seeds import derived_seed, normal
from ganguard.gateway.watch.detection import Traffic, TrafficMonitor, signs

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


def raised(traffic: Requests) -> set[str]:
    """Return the signs of codes that an account has raised in the end."""
    monitor, total = TrafficMonitor(0), Traffic()
    for asked in traffic:
        total += monitor.observe("them", *((asked, None) if isinstance(asked, int) else (len(asked), asked)))
    return {sign.name for sign in signs(total, 0, []) if sign.raised}


def false_alarms(customers: int, fewest: int, most: int) -> None:
    draw = np.random.default_rng(0)
    totals = np.exp(draw.uniform(np.log(fewest), np.log(most), customers)).astype(int)
    alarmed = sum(
        bool(raised(honest(n, WIDTHS[n % len(WIDTHS)], int(total)))) for n, total in enumerate(totals)
    )
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
        alarmed += sum(signs(Traffic(), today, images)[0].raised for today in images)
    print(
        f"sign of the rate, {days} days of 200 honest customers: {alarmed / (200 * days):.2%} of customers "
        "and days",
        flush=True,
    )


def detected(
    name: str, adversary: Callable[[int, int, int], Requests], totals: tuple[int, ...] = (200, 2000)
) -> None:
    for total in totals:
        found = [bool(raised(adversary(n, WIDTHS[n % len(WIDTHS)], total))) for n in range(ADVERSARIES)]
        print(f"{name:46} {total:6,} images   detected {sum(found) / ADVERSARIES:7.1%}", flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    false_alarms(1000, 64, 3000)
    false_alarms(100, 3000, 30_000)
    daily_alarms()
    detected("codes of the prior, once each", prior)
    detected("averaging, 8 times the same code", averaging(0.0))
    detected("averaging, 8 codes moved by 0.05", averaging(0.05))
    for moved in (0.0, 0.05, 0.1):
        detected(f"averaging, 2,000 codes between, moved by {moved:g}", spaced(moved), (4000, 8000))
    detected("codes on a lattice of whole numbers", lattice)
    detected("codes of twice the prior's size", far)
