"""What an adversary made of its purchase before it trained on it."""

from typing import Annotated

from pydantic import Field

from ganguard.base.settings import NonNegative, Positive, Settings


class ReworkRecord(Settings):
    """The images that copies of one adversary, budget and seed were trained on in place of bought ones.

    Attributes:
        adversary: its label.
        defence: label of the defence that they were bought behind.
        seed: of the purchase.
        query_budget: what was paid for.
        images: how many images were made.
        distinct: of how many bought ones.
        effective: effective sample size of a resampled purchase: how many equally weighted images tell as
            much; None if it was not resampled.
        error: mean squared error of a denoiser where it predicts noisy pixels that it did not see, on the
            scale of [-1, 1]: the variance of their noise, and what it errs by. None without a denoiser.
    """

    adversary: str
    defence: str
    seed: NonNegative
    query_budget: Positive
    images: Positive
    distinct: Positive
    effective: Annotated[float, Field(gt=0)] | None = None
    error: Annotated[float, Field(ge=0)] | None = None
