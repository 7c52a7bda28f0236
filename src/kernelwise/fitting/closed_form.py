"""Learning a kernel in closed form: the least-squares kernel itself, with its error bars, its size and its warnings."""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import Any

import numpy as np

from ..errors import ArgumentError
from .estimate import estimate
from .gather import centres, moments
from .options import MOST_TAPS, Options, options
from .pairs import pair, pairs, room
from .result import KernelFit
from .size_choice import fit_of_best_size
from .windows import How, Taps


def fit_kernel(
    before: Any,
    after: Any,
    size: Any = "auto",
    *,
    background: bool = True,
    weights: Any = None,
    mask: Any = None,
    ridge: float | str = "auto",
    errors: str = "white",
    x_noise: float = 0.0,
    nonnegative: bool = False,
    symmetric: str | None = None,
    sum_to: float | None = None,
    prior: Any = None,
    criterion: str = "auto",
    max_size: Any = 15,
    dims: int | None = None,
    channels: bool = False,
    threads: int | None = None,
) -> KernelFit:
    """The kernel, and the background, that turn one image into another with the least squared error.

        after = corr(before, kernel) + background + noise

    Parameters
    ----------
    before : (H, W), real; or a list or an iterator of images, or a stack (n, H, W), with one kernel in common. Other
        numbers of axes: see ``dims``.
    after : of the shape of ``before``, a "same" result: then those outputs are used whose window lies inside, and
        nothing is assumed of what stood around the image. Or smaller, a "valid" result: then a kernel may be at most as
        large as the shapes' difference plus one.
    size : of the kernel, (h, w) or one number for all axes; "auto" chooses it from the data (`KernelFit.size_curve`).
    background : whether a constant is added to every output, and learned.
    weights : like ``after``, without channels: what each squared error is multiplied by; 1 / variance is best.
    mask : like ``after``, without channels, bool: False where an output is not to be used. Outputs that are not finite,
        or whose window holds something that is not, are never used.
    ridge : how strongly the kernel is drawn to zero (to ``prior``, if given): so much variance is added to that of the
        images before. "auto" adds none where the images determine the kernel, else as much as generalised
        cross-validation says, and a note.
    errors : what error bars allow for. "white": the same independent noise in every output. "robust": its variance may
        differ from place to place. "hac": neighbouring outputs may be correlated as well.
    x_noise : standard deviation of the noise in ``before``. Without it that noise draws kernels to zero.
    nonnegative, symmetric, sum_to : what is known of the kernel: no tap below zero; the same after mirroring,
        "left-right", "up-down", "both", "point" (half a turn) or "all" (also along the diagonals); its sum.
    prior : a kernel of that size, which the ridge draws to.
    criterion : by which size="auto" chooses: "bic" (Bayes), "aic" (Akaike), "takeuchi" (Akaike's for noise of any
        variance) or "cv" (cross-validation over bands of the images). "auto": "bic", unless what is left is correlated
        between neighbours or uneven, or ``errors`` allows for it; then "cv". `KernelFit.size_curve` says which.
    max_size : the largest size that "auto" looks at.
    dims : spatial axes, 1 to 3. If not given: as many as ``size`` has numbers, else 1 for arrays of one axis, else 2.
    channels : arrays have an axis of channels before the spatial ones: (c, H, W) becomes (m, H, W), by a kernel
        (m, c, h, w).
    threads : at most this many. The bits of the result do not depend on it.

    Returns a KernelFit. All sums are float64, whatever the images are: there is no faster, coarser way to ask for.

    Raises ArgumentError or ArgumentTypeError naming the argument.

    >>> x = np.random.default_rng(0).normal(size=(40, 50))
    >>> fit = fit_kernel(x, x[:, :-1] - x[:, 1:] + 3, (1, 2))
    >>> fit.kernel.round(6), round(fit.background, 6)
    (array([[ 1., -1.]]), 3.0)
    """
    given = list(pairs(before, after, mask, weights))
    if not given:
        raise ArgumentError("`before` must hold at least one image (got none)")
    chosen = options(
        dims, channels, size, max_size, given[0][0], background=background, ridge=ridge, errors=errors,
        x_noise=x_noise, nonnegative=nonnegative, symmetric=symmetric, sum_to=sum_to, prior=prior, criterion=criterion,
        threads=threads,
    )  # fmt: skip
    taps = _largest(chosen, given)
    data = [pair(chosen.layout, taps, *one) for one in given]
    middle = centres(data[0])
    known = reduce(add, (moments(one, taps, *middle, How(threads=chosen.threads)) for one in data))
    if known.count <= known.gram.shape[0] + background:
        raise ArgumentError(
            f"`before` must leave more outputs than the kernel has taps, {known.gram.shape[0]} (got {known.count})"
        )
    same = room(chosen.layout, *given[0][:2]) is None
    if chosen.size is not None:
        return estimate(known, data, chosen, None, same)[0]
    return fit_of_best_size(known, data, chosen, same)


def _largest(chosen: Options, given: list[tuple[Any, Any, Any, Any]]) -> Taps:
    """The kernel whose sums are taken: the one wanted, or the largest that may be chosen."""
    if chosen.size is not None:
        taps = chosen.layout.taps(chosen.size)
    else:
        taps = chosen.layout.taps(chosen.max_size)
        for before, after, *_ in given:
            spare = room(chosen.layout, before, after)
            shape = chosen.layout.five("before", before).shape[2:]
            # of a "same" result at most a third of each axis, so that enough outputs are left
            most = tuple(max(1, (n // 3 - 1) | 1) for n in shape) if spare is None else spare
            taps = tuple(min(k, n) for k, n in zip(taps, most, strict=True))  # type: ignore[assignment]
    channels = chosen.layout.five("before", given[0][0]).shape[1]
    if channels * int(np.prod(taps)) > MOST_TAPS:
        wanted = " x ".join(map(str, chosen.layout.size(taps)))
        raise ArgumentError(f"`size` must be of at most {MOST_TAPS} taps in all channels (got {wanted} in {channels})")
    return taps
