"""The numbers of a copy as a function: of its image and the target's of one code, which no set shows."""

from ganguard.results.measure import Measure

OF_CODES = (
    Measure(
        name="code_l1",
        title="L1 of a code",
        function="ganguard.metrics.similarity:mean_absolute_difference",
        of="codes",
        spread="images",
        better="lower",
        help="Size of the difference of the copy's and the target's image of one code, as a mean over pixels "
        "in [-1, 1]: 0 for equal images.",
        decimals=3,
    ),
    Measure(
        name="code_ssim",
        title="SSIM of a code",
        function="ganguard.metrics.similarity:ssim",
        of="codes",
        spread="images",
        better="higher",
        help="Structural similarity of the copy's and the target's image of one code: 1 for equal images.",
        signed=True,
        decimals=3,
    ),
    Measure(
        name="code_feature_distance",
        title="feature distance of a code",
        function="ganguard.metrics.similarity:feature_difference",
        of="code features",
        spread="images",
        better="lower",
        unit="standard deviations of features",
        help="Difference of the features of the copy's and the target's image of one code, as the root of "
        "the mean of its squares over dimensions: 0 for equal images.",
        decimals=3,
    ),
)
"""They are part of the table in `measures`."""
