"""nd.Pooling: the largest, the mean or the sum of every window.

What stands outside of the image counts nothing for "max", and counts as zeros for "avg" unless told otherwise. A NaN
is passed over by "max", as in MXNet.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional as own

from ..base import MXNetError
from .calling import operator
from .core import Core, apply
from .operators import listed

if TYPE_CHECKING:
    from .array import NDArray

TYPES = ("avg", "lp", "max", "sum")
CONVENTIONS = ("full", "same", "valid")
MAX: dict[int, Any] = {1: own.max_pool1d, 2: own.max_pool2d, 3: own.max_pool3d}


@operator
def Pooling(
    data: Core,
    kernel: Any = (),
    pool_type: str = "max",
    global_pool: bool = False,
    cudnn_off: bool = False,
    pooling_convention: str = "valid",
    stride: Any = (),
    pad: Any = (),
    p_value: int | None = None,
    count_include_pad: bool = True,
    layout: str | None = None,
) -> NDArray:
    """Windows of images (n, c, ...), each made one number.

    kernel, stride, pad : a number for each spatial axis; ``stride`` is 1 and ``pad`` 0 where they are not given.
    pool_type : "max", "avg", "sum" or "lp", the root of order ``p_value`` of the sum of powers.
    global_pool : one window for the whole image.
    pooling_convention : "valid" leaves out a window that does not fit wholly, "full" keeps it.
    count_include_pad : whether a mean counts what stands outside.

    Raises MXNetError.
    """
    if pool_type not in TYPES:
        raise MXNetError(f"Invalid Input: '{pool_type}', valid values are: {{'avg', 'lp', 'max', 'sum'}}")
    if pooling_convention not in CONVENTIONS:
        raise MXNetError(f"Invalid Input: '{pooling_convention}', valid values are: {{'full', 'same', 'valid'}}")
    if data.ndim not in (3, 4, 5):
        raise MXNetError(
            f"Check failed: dshape.ndim() >= 3 ({data.ndim} vs. 3) : Pooling: Input data should be  3D in (batch, "
            "channel, x) Or 4D in (batch, channel, y, x)  Or 5D in (batch, channel, d, y, x)"
        )
    if pooling_convention == "same" and (data.ndim != 3 or pool_type != "max"):
        raise MXNetError(
            f"Check failed: dshape.ndim() == 3U ({data.ndim} vs. 3) : Input data should be 3D in (batch, channel, x). "
            "Currently 'same' supports Max Pooling 1-D"
        )
    last = layout is not None and layout.endswith("C")
    spatial = data.ndim - 2
    if global_pool:
        taps = tuple(data.shape[1:-1] if last else data.shape[2:])
        steps, sides = taps, (0,) * spatial
    else:
        taps = _numbers("kernel", kernel, spatial, None)
        steps, sides = _numbers("stride", stride, spatial, 1), _numbers("pad", pad, spatial, 0)
    sizes = data.shape[1:-1] if last else data.shape[2:]
    _check(taps, sizes, sides)
    far = _far(sizes, taps, steps, sides, pooling_convention)

    def compute(x: Tensor) -> Tensor:
        images = x.movedim(-1, 1) if last else x
        found = _pool(images, pool_type, taps, steps, sides, far, p_value, count_include_pad)
        return found.movedim(1, -1).contiguous() if last else found.contiguous()

    return apply(compute, data)


def _numbers(name: str, given: Any, spatial: int, usual: int | None) -> tuple[int, ...]:
    values = (given,) * spatial if isinstance(given, int) else tuple(given or ())
    if not values and usual is not None:
        return (usual,) * spatial
    if len(values) != spatial:
        raise MXNetError(
            f"Check failed: Pooling: `{name}` must have {spatial} numbers, one for each axis (got {values})"
        )
    if name != "pad" and min(values) < 1:
        raise MXNetError(f"Check failed: Pooling: `{name}` must be 1 or more along every axis (got {listed(values)})")
    return values


def _check(taps: tuple[int, ...], sizes: Any, sides: tuple[int, ...]) -> None:
    for axis, (k, n, side) in enumerate(zip(taps, sizes, sides, strict=True)):
        if k > n + 2 * side:
            raise MXNetError(
                f"Check failed: param.kernel[{axis}] <= dshape_nchw[{axis + 2}] + 2 * param.pad[{axis}]: kernel size "
                f"({k}) exceeds input ({n} padded to {n + 2 * side})"
            )


def _far(sizes: Any, taps: Any, steps: Any, sides: Any, convention: str) -> tuple[int, ...]:
    """How many pixels are put behind every axis, so that all windows fit."""
    made = []
    for n, k, step, side in zip(sizes, taps, steps, sides, strict=True):
        if convention == "same":
            count = math.ceil(n / step)
        elif convention == "full":
            count = 1 + math.ceil((n + 2 * side - k) / step)
        else:
            count = 1 + (n + 2 * side - k) // step
        made.append(max(side, (count - 1) * step + k - n - side))
    return tuple(made)


def _pool(
    x: Tensor,
    kind: str,
    taps: tuple[int, ...],
    steps: tuple[int, ...],
    sides: tuple[int, ...],
    far: tuple[int, ...],
    power: int | None,
    count_outside: bool,
) -> Tensor:
    spatial = len(taps)
    padding = [side for low, high in zip(reversed(sides), reversed(far), strict=True) for side in (low, high)]
    even = sides == far and all(2 * side <= k for side, k in zip(sides, taps, strict=True))
    if kind == "max":
        lowest = torch.finfo(x.dtype).min if x.dtype.is_floating_point else torch.iinfo(x.dtype).min
        numbers = torch.where(x.isnan(), torch.full((), lowest, dtype=x.dtype), x) if _has_nan(x) else x
        if even:
            found: Tensor = MAX[spatial](numbers, taps, steps, sides)
            return found
        return MAX[spatial](own.pad(numbers, padding, value=lowest), taps, steps)  # type: ignore[no-any-return]
    if kind == "lp":
        if power is None or power < 1:
            raise MXNetError("Check failed: pooling of type 'lp' needs p_value of 1 or more")
        return _total(own.pad(x.abs() ** power, padding), taps, steps) ** (1 / power)
    padded = own.pad(x, padding) if any(padding) else x
    if kind == "sum":
        return _total(padded, taps, steps)
    # as MXNet adds up: every number divided by its window's count first
    if not any(padding):
        return _total(x / math.prod(taps), taps, steps)
    counts = _counts(x, taps, steps, sides, far, count_outside)
    first, *others = counts.unique().tolist()
    mean = _total(padded / first, taps, steps)
    for count in others:
        mean = torch.where(counts == count, _total(padded / count, taps, steps), mean)
    return mean


def _counts(x: Tensor, taps: Any, steps: Any, sides: Any, far: Any, count_outside: bool) -> Tensor:
    """What every window's sum is divided by, (1, 1, ...). What "full" puts behind the padding never counts."""
    inside = torch.ones((1, 1, *x.shape[2:]))
    low = [side for side in reversed(sides) for _ in (0, 1)]
    rest = [more for side, high in zip(reversed(sides), reversed(far), strict=True) for more in (0, high - side)]
    return _total(own.pad(own.pad(inside, low, value=float(count_outside)), rest), taps, steps)


def _total(x: Tensor, taps: tuple[int, ...], steps: tuple[int, ...]) -> Tensor:
    """Sums of windows."""
    if len(taps) == 1:
        return own.avg_pool2d(x.unsqueeze(-1), (*taps, 1), (*steps, 1), divisor_override=1).squeeze(-1)
    return (own.avg_pool2d if len(taps) == 2 else own.avg_pool3d)(x, taps, steps, divisor_override=1)


def _has_nan(x: Tensor) -> bool:
    """Cheaply: a sum is NaN where a number is (or where infinities of both signs meet, which does no harm)."""
    return x.dtype.is_floating_point and bool(x.detach().sum().isnan())
