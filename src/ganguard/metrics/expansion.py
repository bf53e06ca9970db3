"""Variances of squared distances of means: first order in the rows, and second, which is left without it."""

import math

# Twice the standard deviation of the first order that is found for equal distributions, which is
# 2 √2 / √directions of the second order.
NOISE = 4 * math.sqrt(2)


def noise_of_first(second: float, directions: float) -> float:
    """Return how large a first order is still noise.

    For equal distributions the first order is 0. What is found of it then is largest when the distance itself
    came out large, so that counting it would widen just those intervals that should miss.

    Args:
        second: second order of the same variance.
        directions: how many equal ones the kernel's covariance C has, (tr C²)² / tr(C⁴).
    """
    return NOISE / math.sqrt(max(1.0, directions)) * second
