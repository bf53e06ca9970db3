"""Every number that is measured, declared once.

`comparison` computes the numbers of this table. Audits and `ganguard measure` report them, and results.json,
results.parquet, the report and the documentation use its names. A new number needs a function in `metrics`
and a record here.
"""

from ganguard.results.measure import Direction as Direction
from ganguard.results.measure import Measure as Measure
from ganguard.results.measure import Of as Of
from ganguard.results.measure import Spread as Spread
from ganguard.results.measures_of_codes import OF_CODES

DISTANCE, UNSCALED_DISTANCE = "frechet_distance", "frechet_distance_unscaled"
"""The number that copies are compared by: fidelity against the target, accuracy against real images."""
WITHIN, CONSISTENCY, COVERAGE = "intra_fd", "class_consistency", "class_coverage"
"""The numbers of conditional generators."""
_MORE: tuple[Of, ...] = ("held-out images", "codes", "code features")  # than two sets of images
_FEATURE_UNIT = "squared standard deviations of features"


_TABLE = (
    Measure(
        name=DISTANCE,
        title="Fréchet distance",
        function="ganguard.metrics.frechet:frechet_distance",
        of="features",
        spread="moments",
        better="lower",
        unit=_FEATURE_UNIT,
        help="Distance between Gaussians fitted to the features of both sets: 0 for equal sets, and biased "
        "upwards by small ones.",
        fewest=2,
    ),
    Measure(
        name="frechet_distance_infinity",
        title="Fréchet distance, unbiased",
        function="ganguard.metrics.frechet:frechet_distance_infinity",
        of="features",
        spread="lines",
        better="lower",
        unit=_FEATURE_UNIT,
        help="Limit of the Fréchet distance as the number of images grows (Chong & Forsyth 2020): about 0, "
        "above or below, for two samples of one generator.",
        signed=True,
        fewest=60,  # so that the sample sizes which the line goes through differ
        fewest_a_dimension=20,  # found by `benchmarks/spreads.py infinity`
    ),
    Measure(
        name="kernel_distance",
        title="kernel distance",
        function="ganguard.metrics.kernel:kernel_distance_full",
        of="features",
        spread="kernels",
        better="lower",
        help="Squared maximum mean discrepancy of all features with a cubic kernel (Bińkowski et al. 2018, "
        "KID): about 0, above or below, for two samples of one generator.",
        signed=True,
        fewest=2,
    ),
    Measure(
        name=UNSCALED_DISTANCE,
        title="Fréchet distance, unscaled",
        function="ganguard.metrics.frechet:frechet_distance",
        of="unscaled features",
        spread="moments",
        better="lower",
        unit="squared units of the feature network",
        help="Fréchet distance of features as the network gives them, as papers print it: FID for "
        "`inception`, FD_DINOv2 for `dinov2`. It is biased upwards by small sets; papers take 50,000 images.",
        fewest=2,
    ),
    Measure(
        name="kid",
        title="KID",
        function="ganguard.metrics.published:kid",
        of="unscaled features",
        part="mean",
        spread="none",
        better="lower",
        help="Kernel distance of unscaled features as papers print it (Bińkowski et al. 2018): mean over 100 "
        "subsets of 1,000 images, or of all if there are fewer, drawn as by torch-fidelity.",
        signed=True,
        fewest=2,
    ),
    Measure(
        name="vendi_score",
        title="Vendi score",
        function="ganguard.metrics.published:vendi_score",
        of="unscaled features of one set",
        spread="none",
        better="higher",
        help="Number of different images in effect (Friedman & Dieng 2023): exp of the entropy of the "
        "eigenvalues of the unscaled features' cosines. It grows with the number of images, and compares "
        "with no other images.",
    ),
    Measure(
        name="cmmd",
        title="CMMD",
        function="ganguard.metrics.published:cmmd",
        of="CLIP features",
        spread="none",
        better="lower",
        help="1,000 times the squared maximum mean discrepancy of CLIP's embeddings, by a Gaussian kernel "
        "(Jayasumana et al. 2024): 0 for equal sets.",
        fewest=2,
    ),
    Measure(
        name="precision",
        title="precision",
        function="ganguard.metrics.prdc:memberships",
        of="balls",
        part="precision",
        spread="parts",
        better="higher",
        help="Share of the measured images that lie in the ball of an image of the other set; a ball reaches "
        "to the fifth neighbour in its own set.",
        decimals=3,
        fewest=6,
    ),
    Measure(
        name="recall",
        title="recall",
        function="ganguard.metrics.prdc:memberships",
        of="balls",
        part="recall",
        spread="parts",
        better="higher",
        help="Share of the other set's images that lie in the ball of a measured image.",
        decimals=3,
        fewest=6,
    ),
    Measure(
        name="density",
        title="density",
        function="ganguard.metrics.prdc:memberships",
        of="balls",
        part="density",
        spread="parts",
        better="higher",
        help="Number of the other set's balls that a measured image lies in, divided by 5, the neighbour "
        "that they reach to; it may exceed 1.",
        decimals=3,
        fewest=6,
    ),
    Measure(
        name="coverage",
        title="coverage",
        function="ganguard.metrics.prdc:memberships",
        of="balls",
        part="coverage",
        spread="parts",
        better="higher",
        help="Share of the other set's images that have a measured image in their ball.",
        decimals=3,
        fewest=6,
    ),
    Measure(
        name="ndb",
        title="different bins",
        function="ganguard.metrics.ndb_jsd:compare_bins",
        of="bins",
        part="share",
        spread="none",
        better="lower",
        help="Share of 100 clusters of the other set's pixels that hold a significantly different share of "
        "the measured images (Richardson & Weiss 2018, NDB): about 0.05 for equal distributions.",
        fewest=500,  # 5 a bin: with fewer, no share of a bin can be told from another
    ),
    Measure(
        name="jsd",
        title="JS divergence",
        function="ganguard.metrics.ndb_jsd:compare_bins",
        of="bins",
        part="jsd",
        spread="none",
        better="lower",
        help="Jensen-Shannon divergence of the histograms over the same clusters, from 0 to ln 2.",
        fewest=500,
    ),
    Measure(
        name="inception_score",
        title="inception score",
        function="ganguard.metrics.inception_score:inception_score",
        of="probabilities",
        spread="splits",
        better="higher",
        help="How confident and how varied the classes of the images are, as the feature network sees them: "
        "from 1 to the number of classes. It compares with no other images.",
        decimals=3,
        fewest=10,
    ),
    Measure(
        name="authenticity",
        title="authenticity",
        function="ganguard.metrics.memorisation:memorisation",
        of="training images",
        part="authentic",
        spread="parts",
        better="higher",
        help="Share of the images that are farther from the nearest training image than that one is from its "
        "own nearest (Alaa et al. 2022): 0 for a generator that replays.",
        decimals=3,
    ),
    Measure(
        name="copies",
        title="copies",
        function="ganguard.metrics.memorisation:memorisation",
        of="training images",
        part="copies",
        spread="parts",
        better="lower",
        help="Share of the images whose features equal those of a training image.",
        decimals=3,
        audited=False,
    ),
    Measure(
        name="near_copies",
        title="near copies",
        function="ganguard.metrics.memorisation:memorisation",
        of="training images",
        part="near_copies",
        spread="parts",
        better="lower",
        help="Share of the images that are copies, or nearer to a training image than half the median "
        "distance between a training image and its own nearest.",
        decimals=3,
        audited=False,
    ),
    Measure(
        name="nearest_distance_ratio",
        title="distance to the nearest",
        function="ganguard.metrics.memorisation:memorisation",
        of="held-out images",
        part="distance_ratio",
        spread="parts",
        better="none",
        help="Median distance to the nearest training image, over that of fresh images of the same origin: "
        "near 1 is as far as those, 0 is copies.",
        decimals=3,
    ),
    Measure(
        name="piqe",
        title="PIQE",
        function="ganguard.metrics.piqe:piqe",
        of="images",
        spread="images",
        better="lower",
        help="Visible distortion of each image by itself (Venkatanath et al. 2015): 0 is best, 100 worst.",
        smallest_side=16,  # one block
    ),
    Measure(
        name="niqe",
        title="NIQE",
        function="ganguard.metrics.niqe:niqe",
        of="natural images",
        spread="images",
        better="lower",
        help="Distance of each image by itself from a model of natural images (Mittal et al. 2013): the mean "
        "over those of 1,000 images that have texture.",
        smallest_side=16,  # two blocks of the smallest size, down and across
    ),
    Measure(
        name="ssim",
        title="SSIM",
        function="ganguard.metrics.similarity:ssim",
        of="pairs",
        spread="images",
        better="higher",
        help="Structural similarity of pairs of images (Wang et al. 2004), from -1 to 1: 1 for equal ones.",
        signed=True,
        decimals=3,
    ),
    Measure(
        name="psnr",
        title="PSNR",
        function="ganguard.metrics.similarity:psnr",
        of="pairs",
        spread="images",
        better="higher",
        unit="dB",
        help="Peak signal-to-noise ratio of the pairs of images that differ.",
        decimals=3,
    ),
    *OF_CODES,
    Measure(
        name=WITHIN,
        title="Fréchet distance within classes",
        function="ganguard.metrics.classes:frechet_within_classes",
        of="classes",
        part="mean",
        spread="classes",
        better="lower",
        unit=_FEATURE_UNIT,
        help="Mean over the classes of the Fréchet distance between the images of a class in both sets "
        "(Miyato & Koyama 2018, intra-FID): 0 for equal sets, and biased upwards by small ones, of which a "
        "class is one.",
        fewest=2,
    ),
    Measure(
        name=CONSISTENCY,
        title="class consistency",
        function="ganguard.metrics.classes:class_consistency",
        of="asked classes",
        part="share",
        spread="shares",
        better="higher",
        help="Share of the images in which a classifier of real images sees the class that was asked for "
        "(Shmelkov et al. 2018, GAN-test). It compares with no other images.",
        decimals=3,
    ),
    Measure(
        name=COVERAGE,
        title="coverage of classes",
        function="ganguard.metrics.classes:class_coverage",
        of="seen classes",
        spread="none",
        better="higher",
        help="Share of the classes that a classifier sees in images of the other set which it also sees in "
        "the measured ones, in one image or more (Metz et al. 2017, number of modes).",
        decimals=3,
    ),
)
MEASURES: dict[str, Measure] = {measure.name: measure for measure in _TABLE}
"""Every number that is measured, by name, in the order of tables."""


def of_two_sets() -> list[Measure]:
    """Return the numbers that two sets of images are enough for: those of `ganguard measure`."""
    return [measure for measure in MEASURES.values() if measure.of not in _MORE]
