"""Scoring edge maps against true ones: precision, recall, ODS, OIS, AP, and Pratt's figure of merit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..problem import one_of
from ..stencils.checks import real
from .arguments import as_map
from .counts import count
from .inputs import images, levels
from .matching import squared_distances

TOLERANCE = 0.0075  # of the image's diagonal: what BSDS allows
UNITS = ("diagonal", "pixels")
STEPS = 100  # between two thresholds, when the best F is looked for
RECALLS = 101  # places at which the precision is read off for AP

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class At:
    """Precision, recall and F = 2 P R / (P + R) at one operating point; 0 where nothing can be said."""

    precision: float
    recall: float
    f: float


@dataclass(frozen=True, eq=False)
class Curve:
    """Precision, recall and F for each threshold, of all images together: arrays of one length."""

    thresholds: Floats
    precision: Floats
    recall: Floats
    f: Floats


@dataclass(frozen=True, eq=False)
class Score:
    """How well edge maps agree with true ones.

    precision, recall, f, threshold : at the one threshold that is best for all images together (ODS).
    ois : the same when each image has the threshold that is best for it.
    ap : average precision, the area under the curve of precision over recall. For boolean maps, which have one
        threshold and no curve, 0 as in BSDS.
    curve : the values at every threshold.
    counts : int64 (images, thresholds, 4): true pixels matched, true pixels, found pixels matched, found pixels.
    """

    precision: float
    recall: float
    f: float
    threshold: float
    ois: At
    ap: float
    curve: Curve
    counts: NDArray[np.int64]

    @property
    def ods(self) -> float:
        """F at the best threshold for all images together."""
        return self.f

    def __repr__(self) -> str:
        return (
            f"Score(precision={self.precision:.4f}, recall={self.recall:.4f}, ods={self.ods:.4f}, "
            f"ois={self.ois.f:.4f}, ap={self.ap:.4f}, threshold={self.threshold:.4g}, images={len(self.counts)})"
        )


def score(
    found: Any,
    truth: Any,
    *,
    tolerance: float = TOLERANCE,
    unit: str = "diagonal",
    thresholds: int | Sequence[float] | NDArray = 99,
) -> Score:
    """Match edge maps with true ones within a tolerance; precision, recall, F, and over thresholds ODS, OIS and AP.

    found : an edge map (H, W), or a list of maps for several images. Booleans, or integers of 0 and 1 only, are edges
        as they are. Floats from 0 to 1 are soft: a pixel is an edge at a threshold it reaches. So are uint8 and uint16,
        divided by 255 and 65535. Maps are taken as they are; thin ones are meant, such as non-maximum suppression
        leaves: matching thick lines with thick lines exactly takes seconds instead of milliseconds.
    truth : the true edges, not 0, of the shape of `found`: a map, or a list of maps by several annotators; for several
        images a list with one or the other for each.
    tolerance : how far apart a found and a true pixel may be, as a share of the image's diagonal, or with
        ``unit="pixels"`` in pixels. The default 0.0075 is BSDS's: 4.3 pixels for its images.
    thresholds : a number n, for 1 / (n + 1), ..., n / (n + 1); or the thresholds, ascending, in the units of the
        soft maps, which may then have any range. Without effect on boolean maps.

    The matching is exact: as many pairs as there can be, each pixel in one at most. Recall is the matched share of all
    annotators' pixels, added up; a found pixel is right if it is matched for any annotator; counts of several images
    are added up before shares are taken. Where several largest matchings exist, stronger found pixels go first; of
    equally strong ones those nearer to a true one are tried first, then row by row. So results are the same everywhere,
    and do not depend on which other thresholds are asked for. ODS is the largest F on the curve of (precision, recall),
    taken linear between two thresholds; OIS adds the counts at each image's best threshold, the lowest of several; AP
    is the mean of precision at the recalls 0, 0.01, ..., 1, linear in between and 0 beyond the curve's ends. These are
    the conventions of the BSDS benchmark, with two differences: BSDS thins a soft map again at every threshold, and
    leaves the choice among largest matchings, on which the precision for several annotators depends a little, to short
    distances and chance.

    Returns Score. Raises ArgumentError or ArgumentTypeError naming the argument.

    Source: Martin, Fowlkes and Malik 2004, Learning to detect natural image boundaries (IEEE TPAMI 26:530); Arbelaez,
    Maire, Fowlkes and Malik 2011, Contour detection and hierarchical image segmentation (IEEE TPAMI 33:898).

    >>> true = np.zeros((8, 8), bool); true[:, 3] = True
    >>> found = np.zeros((8, 8), bool); found[2:, 4] = True; found[0, 7] = True
    >>> score(found, true, tolerance=1, unit="pixels")
    Score(precision=0.8571, recall=0.7500, ods=0.8000, ois=0.8000, ap=0.0000, threshold=1, images=1)
    """
    tolerance = real("tolerance", tolerance, at_least=0)
    one_of("unit", unit, UNITS)
    pairs, soft = images(found, truth)
    at = levels(pairs, soft, thresholds)
    counts = np.array([
        count(given, maps, tolerance * (math.hypot(*given.shape) if unit == "diagonal" else 1), at)
        for given, maps in pairs
    ])  # fmt: skip
    return _summary(counts, at)


def figure_of_merit(found: Any, truth: Any, alpha: float = 1 / 9) -> float:
    """Pratt's figure of merit: 1 for the true edges themselves, less for displaced, missing and false ones.

    sum over the found pixels of 1 / (1 + alpha d**2), divided by max(found pixels, true pixels); d is the exact
    distance in pixels to the nearest true one.

    found, truth : maps (H, W) of booleans or integers, an edge where not 0. alpha : above 0; 1/9 is Pratt's.
    Returns a float from 0 to 1; 1 where both maps are empty. Raises ArgumentError or ArgumentTypeError.

    Source: Abdou and Pratt 1979, Quantitative design and evaluation of enhancement/thresholding edge detectors
    (Proceedings of the IEEE 67:753).

    >>> true = np.zeros((5, 9), bool); true[:, 4] = True
    >>> figure_of_merit(np.roll(true, 3, axis=1), true)
    0.5
    """
    true = as_map("truth", truth)
    given = as_map("found", found, true.shape)
    alpha = real("alpha", alpha, above=0)
    most = max(int(given.sum()), int(true.sum()))
    if most == 0:
        return 1.0
    if not true.any() or not given.any():
        return 0.0
    squared = squared_distances(true, given)
    return float((1 / (1 + alpha * squared)).sum() / most)


# ---------------------------------------------------------------- from counts to figures


def _summary(counts: NDArray[np.int64], thresholds: Floats) -> Score:
    precision, recall, f = _shares(counts.sum(axis=0))
    best = _best(thresholds, precision, recall)
    each = [int(_shares(image)[2].argmax()) for image in counts]
    p, r, together = _shares(sum(image[k : k + 1] for image, k in zip(counts, each, strict=True)))
    ois = At(float(p[0]), float(r[0]), float(together[0]))
    curve = Curve(thresholds, precision, recall, f)
    return Score(*best, ois, _average_precision(precision, recall), curve, counts)


def _shares(counts: Any) -> tuple[Floats, Floats, Floats]:
    """Precision, recall and F of counts (.., 4); 0 where there is nothing to divide by."""
    hit, true, right, given = (counts[..., i].astype(np.float64) for i in range(4))
    precision, recall = right / np.maximum(given, 1), hit / np.maximum(true, 1)
    return precision, recall, _f(precision, recall)


def _f(precision: Floats, recall: Floats) -> Floats:
    total = precision + recall
    return 2 * precision * recall / np.where(total > 0, total, 1)


def _best(thresholds: Floats, precision: Floats, recall: Floats) -> tuple[float, float, float, float]:
    """Precision, recall, F and threshold where F is largest, precision and recall linear between two thresholds."""
    if len(thresholds) > 1:
        share = np.linspace(0, 1, STEPS)

        def between(values: Floats) -> Floats:
            return (values[:-1, None] * (1 - share) + values[1:, None] * share).reshape(-1)

        thresholds, precision, recall = between(thresholds), between(precision), between(recall)
    f = _f(precision, recall)
    k = int(f.argmax())
    return float(precision[k]), float(recall[k]), float(f[k]), float(thresholds[k])


def _average_precision(precision: Floats, recall: Floats) -> float:
    """The mean over RECALLS recalls, as BSDS has it: their sum times their distance. Of equal recalls the first."""
    recalls, first = np.unique(recall, return_index=True)
    if len(recalls) < 2:
        return 0.0
    at = np.linspace(0, 1, RECALLS)
    return float(np.interp(at, recalls, precision[first], left=0, right=0).sum() / (RECALLS - 1))
