"""Class weights: how much more a pixel of a rare class counts in the loss, computed from the data."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

BALANCES = ("log", "none", "inverse", "median_frequency", "effective_number")
EFFECTIVE_BETA = 0.9999  # of Cui et al. 2019
PIXELS_A_SAMPLE = 32 * 32  # neighbouring pixels are no samples of their own; one a cell of the network's stride is


class ClassCounts(NamedTuple):
    """What was counted in a split's class maps; both (classes,) and in pixels of the network's size.

    Attributes:
        pixels: of each class.
        labelled_where_present: labelled pixels of the pictures in which the class occurs.
    """

    pixels: NDArray[np.float64]
    labelled_where_present: NDArray[np.float64]

    @property
    def shares(self) -> NDArray[np.float64]:
        """Each class's share of the labelled pixels."""
        shares: NDArray[np.float64] = self.pixels / self.pixels.sum()
        return shares


def class_weights(counts: ClassCounts, balance: str) -> NDArray[np.float32]:
    """Return one weight a class, (classes,) float32; only their ratios matter, losses divide by their sum.

    - `none` weighs all equally.
    - `log` is 1 / ln(1.10 + share), as in ENet (Paszke et al. 2016) with a milder constant than its 1.02: a rare class
      weighs up to ln 2.1 / ln 1.1 = 7.8 times as much as one that fills the picture.
    - `inverse` is 1 / share.
    - `median_frequency` is median(f) / f, with f the class's share of the pictures in which it occurs (Eigen, Fergus
      2015; SegNet).
    - `effective_number` is (1 - b) / (1 - b^n), b = 0.9999 and n the class's pixels in samples of 32x32 (Cui et al.
      2019).

    The last three have no value for a class that was never counted: it gets the greatest weight of the others.
    """
    if balance == "none":
        return np.ones(len(counts.pixels), np.float32)
    if balance == "log":
        return (1 / np.log(1.10 + counts.shares)).astype(np.float32)
    seen = counts.pixels > 0
    pixels, shares = counts.pixels[seen], counts.shares[seen]
    if balance == "inverse":
        known = 1 / shares
    elif balance == "median_frequency":
        frequencies = pixels / counts.labelled_where_present[seen]
        known = np.median(frequencies) / frequencies
    else:
        known = (1 - EFFECTIVE_BETA) / -np.expm1(pixels / PIXELS_A_SAMPLE * np.log(EFFECTIVE_BETA))
    weights = np.full(len(seen), known.max())
    weights[seen] = known
    return weights.astype(np.float32)
