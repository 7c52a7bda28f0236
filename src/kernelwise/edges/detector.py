"""Canny's edge detector."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import stencils
from ..algorithms.canny import launch as passes
from ..algorithms.canny.spec import MOST_CHANNELS, EdgeSpec, lanes
from ..algorithms.numbers import Number
from ..algorithms.routine import current_target
from ..borders import source_index
from ..correlation import check_threads, correlate
from ..errors import ArgumentError, ArgumentTypeError
from ..jit.target import Target
from ..problem import one_of
from ..stencils.checks import real
from . import preparation, thresholds
from .operators import FIXED
from .preparation import Picture

BORDERS = ("reflect", "edge", "symmetric", "wrap")
NORMS = ("l1", "l2")
APERTURES = (3, 5, 7)
TAPS = {name: tuple(FIXED[name][0][:2]) for name in ("sobel", "scharr", "prewitt")}  # (side, middle) of the smoothing
LARGER = {
    "central": (stencils.CENTRAL_Y, stencils.CENTRAL_X),
    "farid": (stencils.FARID_Y, stencils.FARID_X),
}
OPERATORS = (*TAPS, *LARGER)
ROUNDINGS = 32  # in a gradient, in units of the last place of the largest pixel: more than there can be
LARGEST_OPENCV = 32767.0  # OpenCV's largest threshold with the L2 norm
APERTURE_7_BITS = 4  # OpenCV divides gradients of aperture 7, and the thresholds, by 2 to this power


NOTHING = thresholds.Source(lambda most: np.zeros(0), lambda: np.zeros(0), float)


class Slopes(NamedTuple):
    """How gradients are taken."""

    norm: str
    smooth: tuple[int, int]  # of a 3 x 3 operator
    kernels: tuple[NDArray[Any], NDArray[Any]] | None  # along y and along x, of any other
    radius: int  # pixels that a gradient looks at to either side


def canny(
    x: Any,
    sigma: float = 1.0,
    low: Any = "auto",
    high: Any = "auto",
    *,
    operator: str = "sobel",
    norm: str = "l2",
    aperture: int = 3,
    mask: Any = None,
    channel_axis: int | None = None,
    border: str = "reflect",
    opencv: bool = False,
    threads: int | None = None,
) -> NDArray[Any]:
    """Edges by Canny's method: smoothed, the pixels where the gradient is largest across the edge, by two thresholds.

    1. The picture is smoothed by a Gaussian, and its gradient taken.
    2. Thinning: a pixel stays if its magnitude exceeds that of its two neighbours along the gradient, which are
       interpolated; where two are equal the upper or left one stays.
    3. Hysteresis: of the pixels above ``low`` those are edges that are above ``high``, or are connected (eight
       neighbours) to such by others.

    Parameters
    ----------
    x : array (H, W) of bool, integers or floats; with `channel_axis`, three axes.
    sigma : standard deviation of the Gaussian in pixels; 0 does not smooth.
    low, high : the thresholds, in units of the gradient: those of x times the operator's weights (a step of height h
        has the magnitude 4 h under "sobel", without smoothing). Each is a number or a rule:

        "auto"            high: Otsu's threshold of the magnitudes, but at least 3.16 times their median, which noise
                          alone hardly exceeds; low: 0.4 of high
        "otsu"            Otsu's threshold, and half of it
        "median"          2/3 and 4/3 of the median pixel, the common rule of thumb
        ("fraction", f)   what the fraction f of the pixels exceeds; low: 0.4 of high
        a callable        gets the magnitudes (one axis, floats) and returns (low, high), or one threshold

        ``low="auto"`` follows the rule of `high`: its low threshold, or 0.4 of the only one. Of pictures of more
        than 2**18 pixels, "auto" and "otsu" look at a sample of 2**17 or more from all over them.
    operator : "sobel", "scharr", "prewitt", "central" or "farid".
    norm : "l2", the Euclidean length of the gradient, or "l1", |gy| + |gx|.
    aperture : side of Sobel's kernels, 3, 5 or 7.
    mask : (H, W) bool. Pixels outside are no edges and have no part in anything; where a gradient, or one that it is
        compared with, would need them there is no edge either: the rim of the mask makes none. Pixels that are NaN or
        infinite count as outside.
    channel_axis : the axis of the channels of a colour picture; at each pixel the channel with the largest gradient
        counts.
    border : what stands outside the picture: "reflect" (under which no gradient points out of it), "edge",
        "symmetric", "wrap". Magnitudes outside are 0.
    opencv : the very pixels of cv2.Canny(x, low, high, apertureSize=aperture, L2gradient=norm == "l2"), for uint8 and
        ``sigma=0``. Thinning then goes by sectors of 45 degrees, the border is
        "edge", and low and high may come in either order.
    threads : at most this many. The result does not depend on it.

    Returns a bool array (H, W), True on edges; with `opencv` a uint8 array of 0 and 255. The same picture gives the
    same edges in whatever dtype it comes: gradients are worked out in float32 if it holds all pixel values, else in
    float64.

    Raises ArgumentError or ArgumentTypeError naming the argument.

    Source: Canny, A computational approach to edge detection, 1986.

    >>> x = np.zeros((5, 6))
    >>> x[:, 3:] = 1
    >>> canny(x, sigma=0)[0].astype(int)
    array([0, 0, 1, 0, 0, 0])
    """
    slopes = _slopes(operator, norm, aperture, border)
    threads = check_threads(threads)
    sigma = real("sigma", sigma, at_least=0)
    planes = preparation.channels(x, channel_axis)
    known = preparation.as_mask(mask, planes.shape[1:])
    if opencv:
        return _as_opencv(planes, low, high, slopes, operator, aperture, sigma, mask, border, threads)
    picture = preparation.prepare(planes, known)
    if 0 in picture.shape or (picture.known is not None and not picture.known.any()):
        thresholds.levels(*_unasked(low, high), NOTHING)
        return np.zeros(picture.shape, np.bool_)
    spec, field = _field(preparation.smoothed(picture, sigma, border, threads), slopes, border, threads)
    sizes = partial(_magnitudes, spec, field, threads)
    least = partial(_rounding, picture, slopes)
    low, high = thresholds.levels(low, high, thresholds.Source(sizes, picture.pixels, least, picture.exponent))
    return passes.edges(spec, field, low, high, np.empty(picture.shape, np.bool_), 1, threads)


def _unasked(low: Any, high: Any) -> tuple[Any, Any]:
    """Thresholds to be checked where there is no magnitude to ask a callable about."""
    return 0 if callable(low) else low, 0 if callable(high) else high


def _rounding(picture: Picture, slopes: Slopes) -> float:
    """A magnitude that rounding alone does not reach."""
    gain = 4.0 * sum(slopes.smooth) if slopes.kernels is None else float(np.abs(slopes.kernels[0]).sum())
    peak = max(-float(picture.planes.min()), float(picture.planes.max()))
    return ROUNDINGS * float(np.finfo(picture.work).eps) * gain * peak


def _slopes(operator: Any, norm: Any, aperture: Any, border: Any) -> Slopes:
    for name, given, allowed in (("operator", operator, OPERATORS), ("norm", norm, NORMS), ("border", border, BORDERS)):
        one_of(name, given, allowed)
    if isinstance(aperture, bool) or aperture not in APERTURES:
        raise ArgumentError(f"`aperture` must be 3, 5 or 7 (got {aperture!r})")
    if aperture != 3 and operator != "sobel":
        raise ArgumentError(f"`aperture` must be 3 with the operator {operator!r} (got {aperture!r})")
    if aperture != 3:
        kernels = stencils.sobel(aperture, axis=0), stencils.sobel(aperture, axis=1)
        return Slopes(norm, (0, 0), kernels, aperture // 2)
    if operator in TAPS:
        return Slopes(norm, TAPS[operator], None, 1)
    kernels = LARGER[operator]
    return Slopes(norm, (0, 0), kernels, max(kernels[0].shape) // 2)


def _field(picture: Picture, slopes: Slopes, border: str, threads: int | None) -> tuple[EdgeSpec, passes.Field]:
    """What the passes work on: the picture's own pixels under a 3 x 3 operator, else its gradients."""
    known = None
    if picture.known is not None:
        known = np.zeros((picture.shape[0], -(-picture.shape[1] // 64) * 64), np.uint8)
        known[:, : picture.shape[1]] = preparation.eroded(picture.known, slopes.radius)
    spec = partial(_spec, picture.work, slopes, masked=known is not None)
    planes = picture.planes
    if slopes.kernels is None and len(planes) <= MOST_CHANNELS:
        planes = _neighbours_side_by_side(planes)
        return spec(planes.dtype.str[1:], len(planes)), passes.Field(
            list(planes), _outside(planes.shape[1:], border), known
        )
    parts = _gradients(planes.astype(picture.work, copy=False), slopes, border, np.dtype(picture.work), threads)
    return spec(picture.work, 1, given=True), passes.Field(_steepest(parts, slopes.norm), known=known)


def _spec(work: str, slopes: Slopes, stored: str, channels: int, masked: bool = False, given: bool = False) -> EdgeSpec:
    smooth = None if given else slopes.smooth
    return _specified(work, stored, slopes.norm, smooth, channels, masked, current_target())


@lru_cache(maxsize=256)
def _specified(
    work: str, stored: str, norm: str, smooth: tuple[int, int] | None, channels: int, masked: bool, target: Target
) -> EdgeSpec:
    number = Number(work)
    return EdgeSpec(Number(stored), number, norm, smooth, channels, masked, lanes(number, target))


def _neighbours_side_by_side(planes: NDArray[Any]) -> NDArray[Any]:
    size = planes.dtype.itemsize
    return planes if planes.strides[2] == size or planes.shape[2] == 1 else np.ascontiguousarray(planes)


@lru_cache(maxsize=256)
def _outside(shape: tuple[int, int], border: str) -> tuple[int, int, int, int]:
    """The rows that stand for -1 and H, and the columns for -1 and W."""
    ends = [source_index(np.array([-1, n]), n, border) for n in shape]
    first, second, third, fourth = (int(place) for places in ends for place in places)
    return first, second, third, fourth


def _gradients(
    planes: NDArray[Any], slopes: Slopes, border: str, dtype: np.dtype, threads: int | None
) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    """(gy, gx) of each channel, in padded rows."""
    kernels = slopes.kernels
    if kernels is None:
        side, middle = slopes.smooth
        kernel = np.outer([-1, 0, 1], [side, middle, side])
        kernels = kernel, kernel.T
    found = []
    for plane in planes:
        pair = []
        for kernel in kernels:
            out = passes.padded(plane.shape, dtype)
            pair.append(correlate(plane, kernel, border=border, dtype=dtype, out=out, threads=threads))
        found.append((pair[0], pair[1]))
    return found


def _steepest(parts: Sequence[tuple[NDArray[Any], NDArray[Any]]], norm: str) -> list[NDArray[Any]]:
    """gy and gx of the channel with the largest magnitude at each pixel, the first of equal ones."""
    (gy, gx), *others = parts
    if others:
        largest = _size(gy, gx, norm)
        for other_gy, other_gx in others:
            size = _size(other_gy, other_gx, norm)
            larger = size > largest
            for kept, other in ((gy, other_gy), (gx, other_gx), (largest, size)):
                np.copyto(kept, other, where=larger)
    return [gy, gx]


def _size(gy: NDArray[Any], gx: NDArray[Any], norm: str) -> NDArray[Any]:
    """What magnitudes are compared by, exactly for whole numbers."""
    if gy.dtype.kind == "i":
        gy, gx = gy.astype(np.int32), gx.astype(np.int32)
    return np.abs(gy) + np.abs(gx) if norm == "l1" else gy * gy + gx * gx


def _magnitudes(spec: EdgeSpec, field: passes.Field, threads: int | None, most: int) -> NDArray[Any]:
    """Known magnitudes, one axis; about ``most`` of them, all if that is 0."""
    sizes = passes.sample(spec, field, most or field.height * field.width, threads)
    if spec.exact:
        return np.sqrt(sizes, dtype=np.float64) if spec.norm == "l2" else sizes.astype(np.float64)
    return sizes


# ---------------------------------------------------------------- as OpenCV does it


def _as_opencv(
    planes: NDArray[Any],
    low: Any,
    high: Any,
    slopes: Slopes,
    operator: str,
    aperture: int,
    sigma: float,
    mask: Any,
    border: str,
    threads: int | None,
) -> NDArray[np.uint8]:
    """cv2.Canny: whole numbers throughout."""
    _check_opencv(planes, operator, sigma, mask, border)
    out = np.empty(planes.shape[1:], np.uint8)
    if out.size == 0:
        thresholds.levels(*_unasked(low, high), NOTHING, ordered=False)
        return out
    planes = _neighbours_side_by_side(planes)
    if slopes.kernels is None and len(planes) <= MOST_CHANNELS:
        spec = _spec("i2", slopes, "u1", len(planes))
        field = passes.Field(list(planes), _outside(planes.shape[1:], "edge"))
    else:
        parts = _gradients(planes, slopes, "edge", np.dtype(np.int32 if aperture == 7 else np.int16), threads)
        if aperture == 7:
            parts = [(_divided(gy), _divided(gx)) for gy, gx in parts]
        spec = _spec("i2", slopes, "i2", 1, given=True)
        field = passes.Field(_steepest(parts, slopes.norm))

    sizes = partial(_magnitudes, spec, field, threads)
    bits = APERTURE_7_BITS if aperture == 7 else 0
    source = thresholds.Source(sizes, lambda: planes.ravel() / 2**bits, float, bits)
    low, high = sorted(thresholds.levels(low, high, source, ordered=False))
    if slopes.norm == "l2":
        low, high = (limit * abs(limit) for limit in (min(low, LARGEST_OPENCV), min(high, LARGEST_OPENCV)))
    return passes.edges(spec, field, low, high, out, 255, threads)


def _divided(values: NDArray[Any]) -> NDArray[np.int16]:
    """As OpenCV divides gradients of aperture 7: rounded half to even. In padded rows."""
    out = passes.padded(values.shape, np.dtype(np.int16))
    out[...] = np.rint(values / 2**APERTURE_7_BITS)
    return out


def _check_opencv(planes: NDArray[Any], operator: str, sigma: float, mask: Any, border: str) -> None:
    if planes.dtype != np.uint8:
        raise ArgumentTypeError(f"`x` must be uint8 with opencv=True (got {planes.dtype})")
    if sigma:
        raise ArgumentError(f"`sigma` must be 0 with opencv=True: cv2.Canny does not smooth (got {sigma!r})")
    if mask is not None:
        raise ArgumentError("`mask` must be None with opencv=True: cv2.Canny has none")
    if operator != "sobel":
        raise ArgumentError(f"`operator` must be 'sobel' with opencv=True (got {operator!r})")
    if border not in ("reflect", "edge"):
        raise ArgumentError(f"`border` must be left out, or 'edge', with opencv=True (got {border!r})")
