"""How encoded images are made alike, wherever they come from."""

from typing import Literal

from ganguard.base.codecs import Orient
from ganguard.data.crops import Crop, Size, sides
from ganguard.data.dataset import DatasetSettings
from ganguard.data.opacity import Alpha


class Pictures(DatasetSettings):
    """Base of the settings of all formats of encoded images.

    Attributes:
        size: side in pixels, at most 8192, or WIDTHxHEIGHT. Each image is cropped to a square, or to those
            proportions, and resized to it (Lanczos, antialiased). None takes the images as they are; then
            they must all have one size.
        channels: 1 makes all images grey, 3 makes them RGB. None decides by the whole set: it is RGB if the
            file of any image has colour, and grey otherwise.
        alpha: what becomes of transparency. "keep" makes opacity the last channel, of which there are 2 or 4
            then; "white" and "black" put each image before that background; "drop" leaves transparency out,
            so that what lies under it shows. None drops it, but keeps what a harvest holds.
        crop: the part of each image that is taken, see `ganguard.data.crops`.
        orient: "exif" turns and mirrors each image as its EXIF data say before it is cropped; "none" takes
            the pixels as they are stored.
        on_bad_image: what to do about an image that cannot be read. "fail" refuses the data set; "skip"
            leaves the image out, and reports say so.
    """

    size: Size | None = None
    channels: Literal[1, 3] | None = None
    alpha: Alpha | None = None
    crop: Crop = "centre"
    orient: Orient = "none"
    on_bad_image: Literal["fail", "skip"] = "fail"

    def place(self) -> str:
        """Return what messages call the set."""
        return self.kind

    def own_shape(self) -> tuple[int, int, int] | None:
        """Return (C, H, W) if there is a size; None otherwise. Channels that are left open are taken for
        three."""
        if self.size is None:
            return None
        return (self.channels or 3) + (self.alpha == "keep"), *sides(self.size)

    def keeps_opacity(self) -> bool:
        """Return whether opacity is kept as a channel."""
        return self.alpha == "keep"
