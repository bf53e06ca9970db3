"""What an adversary of a defended target is: how it asks, what it makes of its purchase, what it believes."""

from typing import Annotated, Literal

from pydantic import Field

from ganguard.attacks.reweighting import Shift
from ganguard.audit.spec.chains import Chain
from ganguard.base.settings import Float, Positive, Settings
from ganguard.training.denoiser import DenoiserSettings

Elsewhere = Literal["refuse", "skip"]


class Asking(Settings):
    """How a code is asked for several times.

    Attributes:
        copies: how many times.
        moved: how far the codes differ, in standard deviations of the prior; 0 sends the same code.
        apart: whether the codes of one image are a request of their own.
        kept: whether the "mean" of the answers is the image, or "each" of them is one.
    """

    copies: Annotated[Positive, Field(ge=2)]
    moved: Annotated[Float, Field(ge=0)] = 0.0
    apart: bool = False
    kept: Literal["mean", "each"] = "mean"

    @property
    def price(self) -> int:
        """Number of queries that an image costs."""
        return self.copies if self.kept == "mean" else 1


class Rework(Settings):
    """What an adversary does with the images that it bought, before it trains on them: one of these.

    Attributes:
        shifts: resample them, to undo that codes were moved along directions; empty if not.
        denoiser: clean them by a denoiser that is learnt from them; None if not.
        paired: whether each two images in succession are answers for one code.
    """

    shifts: tuple[Shift, ...] = ()
    denoiser: DenoiserSettings | None = None
    paired: bool = False


class Adversary(Settings):
    """Base of the settings of an adversary; `kind` is its name in a spec."""

    kind: str

    def label(self) -> str:
        """Return its name in results and reports."""
        raise NotImplementedError

    def misfit(self, chain: Chain) -> str:
        """Return why it can do nothing behind a chain of defences; empty if it can."""
        return ""

    @property
    def skips(self) -> bool:
        """Whether it makes no copy where it can do nothing. Otherwise, a spec that wants one is refused."""
        return False

    def believes(self, chain: Chain) -> Chain:
        """Return the defences that it puts into its training, if `chain` stands before the target."""
        return ()

    def asking(self) -> Asking | None:
        """Return how codes are asked for several times; None if each is once."""
        return None

    def rework(self, chain: Chain) -> Rework | None:
        """Return what it makes of images that it bought behind a chain; None if it takes them as they are."""
        return None
