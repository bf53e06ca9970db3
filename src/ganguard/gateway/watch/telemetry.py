"""Counts and times for Prometheus, in a registry of this gateway's own."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Telemetry:
    """The gateway's metrics. Their names begin with `ganguard_`."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._answers = Counter(
            "ganguard_answers", "Answers of /v1/images, by status.", ["status"], registry=self._registry
        )
        self._images = Counter(
            "ganguard_images_delivered", "Images sent, redeemed ones too.", registry=self._registry
        )
        self._seconds = Histogram(
            "ganguard_seconds",
            "From a request of images to its answer.",
            buckets=SECONDS,
            registry=self._registry,
        )
        self._batches = Histogram(
            "ganguard_batch_images",
            "Images of a batch.",
            buckets=(1, 8, 32, 64, 128, 256, 512),
            registry=self._registry,
        )
        self._waiting = Gauge(
            "ganguard_images_inside", "Images that are being made.", registry=self._registry
        )
        self._distance = Gauge(
            "ganguard_extraction_distance",
            "Frechet distance that a copy from as many images as the account has bought would reach.",
            ["account", "adversary"],
            registry=self._registry,
        )
        self._crossed = Counter(
            "ganguard_extraction_threshold",
            "Accounts that bought enough.",
            ["threshold"],
            registry=self._registry,
        )

    def answered(self, status: int) -> None:
        """An answer of /v1/images."""
        self._answers.labels(str(status)).inc()

    def ordered(self, images: int, seconds: float) -> None:
        """An order was answered, by so many images."""
        self._images.inc(images)
        self._seconds.observe(seconds)

    def batch(self, images: int) -> None:
        """A batch that is about to be made."""
        self._batches.observe(images)

    def inside(self, images: int) -> None:
        """Images that are being made now."""
        self._waiting.set(images)

    def reached(self, account: str, adversary: str, distance: float) -> None:
        """How near a copy would come."""
        self._distance.labels(account, adversary).set(distance)

    def crossed(self, threshold: float, accounts: int = 1) -> None:
        """Accounts have bought enough to come as near as a threshold."""
        self._crossed.labels(f"{threshold:g}").inc(accounts)

    def quantile(self, share: float) -> float | None:
        """Seconds within which that share of requests was answered: the bound of a bucket; None where none is
        known."""
        samples = {
            s.labels["le"]: s.value
            for m in self._seconds.collect()
            for s in m.samples
            if s.name.endswith("_bucket")
        }
        total = samples.get("+Inf", 0.0)
        reached = (
            float(bound)
            for bound, count in samples.items()
            if total and count >= share * total and bound != "+Inf"
        )
        return next(reached, None)

    def text(self) -> bytes:
        """All of it, as Prometheus reads it."""
        return generate_latest(self._registry)
