"""Prometheus metrics, in a registry of the gateway's own."""

from collections.abc import Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from ganguard.gateway.watch.signs import NAMES, ONE

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
MOST_ACCOUNTS = 20  # that a metric names
MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Telemetry:
    """The gateway's metrics; their names begin with `ganguard_`.

    Args:
        conditional: whether the target takes conditions, which have a metric and a sign of their own.
    """

    def __init__(self, *, conditional: bool = False) -> None:
        self._registry = CollectorRegistry()
        self._of_conditions = _images_by_condition(self._registry) if conditional else None
        self._shown = set[tuple[str, str]]()  # accounts and adversaries of `nearest`
        self._answers = Counter(
            "ganguard_answers", "Responses of /v1/images, by status.", ["status"], registry=self._registry
        )
        self._images = Counter(
            "ganguard_images_delivered", "Images sent, including redeemed ones.", registry=self._registry
        )
        self._seconds = Histogram(
            "ganguard_seconds",
            "Seconds from a request for images to its response.",
            buckets=SECONDS,
            registry=self._registry,
        )
        self._batches = Histogram(
            "ganguard_batch_images",
            "Images per batch.",
            buckets=(1, 8, 32, 64, 128, 256, 512),
            registry=self._registry,
        )
        self._waiting = Gauge("ganguard_images_inside", "Images being made or sent.", registry=self._registry)
        self._distance = Gauge(
            "ganguard_extraction_distance",
            "Estimated Frechet distance to the target of a copy from the images that the account has bought, "
            "for the accounts that are nearest.",
            ["account", "adversary"],
            registry=self._registry,
        )
        self._within = Gauge(
            "ganguard_extraction_accounts",
            "Accounts of the class that have bought enough images for a copy within the threshold.",
            ["class", "threshold"],
            registry=self._registry,
        )
        self._crossed = Counter(
            "ganguard_extraction_threshold",
            "Accounts that have bought enough images for a copy within the threshold.",
            ["threshold"],
            registry=self._registry,
        )
        self._raised = Counter(
            "ganguard_signs_raised",
            "Signs of copying that were raised.",
            ["sign"],
            registry=self._registry,
        )
        self._signs = Gauge(
            "ganguard_signs", "Accounts whose sign is raised now.", ["sign"], registry=self._registry
        )
        for sign in (*NAMES, *((ONE,) if conditional else ())):
            self._signs.labels(sign)
            self._raised.labels(sign)

    def answered(self, status: int) -> None:
        """Count a response of /v1/images."""
        self._answers.labels(str(status)).inc()

    def ordered(self, images: int, seconds: float) -> None:
        """Record that an order was answered with this many images (0 if it was refused)."""
        self._images.inc(images)
        self._seconds.observe(seconds)

    def batch(self, images: int) -> None:
        """Record the size of a batch that is about to be made."""
        self._batches.observe(images)

    def inside(self, images: int) -> None:
        """Set the number of images being made or sent now."""
        self._waiting.set(images)

    def nearest(self, distances: Mapping[tuple[str, str], float]) -> None:
        """Set the estimated distance of copies, and drop those of accounts that are not among them.

        Args:
            distances: by account and adversary ("naive" or "adaptive"); at most MOST_ACCOUNTS of each.
        """
        for account, adversary in self._shown - distances.keys():
            self._distance.remove(account, adversary)
        for (account, adversary), distance in distances.items():
            self._distance.labels(account, adversary).set(distance)
        self._shown = set(distances)

    def within(self, class_: str, threshold: float, accounts: int) -> None:
        """Set the number of accounts of a class whose copy would come within a threshold."""
        self._within.labels(class_, f"{threshold:g}").set(accounts)

    def raised(self, sign: str, times: int = 1) -> None:
        """Count a sign of copying that was raised."""
        self._raised.labels(sign).inc(times)

    def signs(self, sign: str, accounts: int) -> None:
        """Set the number of accounts whose sign is raised now."""
        self._signs.labels(sign).set(accounts)

    def by_condition(self, images: Sequence[tuple[str, int]]) -> None:
        """Set the images that were bought of each condition, by its name; others are dropped."""
        if self._of_conditions is not None:
            self._of_conditions.clear()
            for name, count in images:
                self._of_conditions.labels(name).set(count)

    def crossed(self, threshold: float, accounts: int = 1) -> None:
        """Count accounts that have bought enough images to reach a threshold."""
        self._crossed.labels(f"{threshold:g}").inc(accounts)

    def quantile(self, share: float) -> float | None:
        """Return the upper bound of the histogram bucket that holds this quantile of response times.

        Args:
            share: the quantile, from 0 to 1.

        Returns:
            Seconds; None if there were no requests, or if the quantile lies beyond the largest bucket.
        """
        samples = [sample for metric in self._seconds.collect() for sample in metric.samples]
        counts = {s.labels["le"]: s.value for s in samples if s.name.endswith("_bucket")}
        if not (total := counts.pop("+Inf", 0.0)):
            return None
        return next((float(bound) for bound, count in counts.items() if count >= share * total), None)

    def text(self) -> bytes:
        """Return all metrics in the Prometheus text format."""
        return generate_latest(self._registry)


def _images_by_condition(registry: CollectorRegistry) -> Gauge:
    return Gauge(
        "ganguard_images_bought",
        "Images that accounts have bought, by class or prompt, for those that most were bought of.",
        ["condition"],
        registry=registry,
    )
