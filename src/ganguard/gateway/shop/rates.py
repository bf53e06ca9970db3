"""The rates of accounts: of what they buy and, if that has none, of what they do not pay for."""

from ganguard.gateway.shop.admission import Admission
from ganguard.gateway.spec import GatewaySpec

BUYS, UNPAID = "buys", "unpaid"
UNPAID_A_MINUTE = 10  # requests of the largest size


class Rates:
    """Counts images of an order in the buckets of its account.

    An account whose class has no rate has one for images that are redeemed, or that could not be made: they
    cost the gateway's time, and no budget.

    Args:
        spec: the gateway's spec.
        admission: keeps the buckets.
        most_images: the most images of a request.
    """

    def __init__(self, spec: GatewaySpec, admission: Admission, most_images: int) -> None:
        self._spec, self._admission = spec, admission
        self._unpaid = UNPAID_A_MINUTE * most_images

    def asked(self, account: str, class_: str, images: int) -> None:
        """Count images that are asked for. Raises ProblemError (429, 403) if they are too many."""
        rate = self._spec.class_of(class_).images_a_minute
        if rate is None:
            self._admission.pace((account, UNPAID), 0, self._unpaid)
        self._admission.pace((account, BUYS), images, rate)

    def refused(self, account: str, class_: str, images: int) -> None:
        """Count images no longer: nothing was bought."""
        self._admission.give_back((account, BUYS), images, self._spec.class_of(class_).images_a_minute)

    def redeemed(self, account: str, class_: str, images: int) -> None:
        """Count images that are redeemed. Raises ProblemError (429) if they are too many."""
        if self._spec.class_of(class_).images_a_minute is None:
            self._admission.pace((account, UNPAID), images, self._unpaid)

    def failed(self, account: str, class_: str, images: int) -> None:
        """Count images that could not be made."""
        if self._spec.class_of(class_).images_a_minute is None:
            self._admission.owe((account, UNPAID), images, self._unpaid)
