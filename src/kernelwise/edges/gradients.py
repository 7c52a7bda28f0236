"""Gradients of signals, images and volumes: components, magnitude, direction and a mask, in one pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..algorithms.routine import current_target
from ..arrays import as_image, largest_magnitude
from ..correlation import check_threads
from ..dtypes import NeedsLargest
from ..errors import ArgumentError, ArgumentTypeError
from ..problem import Problem, normalise, one_of
from .above import check_above, mask_kind, threshold_table
from .arguments import MOST_AXES, check_result, image_axes
from .composed import Composed, compose
from .fused import Pass, Wanted, empty_outs, make_pass
from .operators import Operator, find_operator

NORMS = ("l2", "l1")
COMPONENTS = ("gz", "gy", "gx")  # along the last axis: gx
NAMES = (*COMPONENTS, "magnitude", "direction", "mask")
assert len(COMPONENTS) == MOST_AXES
MOST_PREPARED = 256
LONGEST = 65  # taps on an axis up to which everything is done in one pass


@dataclass(frozen=True)
class Gradient:
    """What was wanted of a gradient, each an array of the image's shape; None where it was not wanted.

    ``gx`` is the component along the last axis, ``gy`` along the one before it, ``gz`` along the one before that:
    positive where brightness grows along the axis. ``scale`` is the response of a component to a slope of 1 per pixel:
    ``gx / scale`` is the slope.
    """

    gz: np.ndarray | None = None
    gy: np.ndarray | None = None
    gx: np.ndarray | None = None
    magnitude: np.ndarray | None = None
    direction: np.ndarray | None = None
    mask: np.ndarray | None = None
    scale: float = 1.0

    @property
    def components(self) -> tuple[np.ndarray, ...]:
        """The components there are, in the order of the axes: (gy, gx) of an image."""
        return tuple(c for c in (self.gz, self.gy, self.gx) if c is not None)


def gradient(
    x: Any,
    operator: str = "sobel",
    *,
    wanted: str | tuple[str, ...] | None = None,
    norm: str = "l2",
    above: float | None = None,
    sigma: float | None = None,
    axes: int | tuple[int, ...] | None = None,
    border: str = "reflect",
    fill: float = 0,
    dtype: Any = None,
    out: np.ndarray | Mapping[str, np.ndarray] | Gradient | None = None,
    threads: int | None = None,
) -> Gradient:
    """The gradient of a signal, an image or a volume, and what is made of it, in one pass over the image.

    Parameters
    ----------
    x : array of bool, integers or floats; any strides. One to three of its axes are the image's, the others a batch.
    operator : "sobel", "scharr", "prewitt", "roberts", "central", "farid" or "gaussian"; weights, scales and sources
        stand in `kernelwise.edges.operators`.
    wanted : names of what to return: "gx" (along the last axis), "gy", "gz", "components" (all of these),
        "magnitude", "direction", "mask"; one or several. Without it: the components, the magnitude, for two axes the
        direction, and the mask if `above` is given.
    norm : the magnitude is "l2", the root of the sum of squares, or "l1", the sum of the absolute values.
    above : the threshold of the mask, in units of the magnitude: ``mask = magnitude > above`` (before the magnitude is
        rounded to a narrower `dtype`).
    sigma : in pixels, of operator="gaussian" only; 1 if not given.
    axes : of the image, ascending; all axes of x if it has three or fewer. Colour (H, W, 3) takes ``axes=(0, 1)``.
    border, fill : what stands outside, as in `kernelwise.correlate`.
    dtype : of the components and the magnitude. The default for floats is the image's; for integers and an operator
        with whole weights ("sobel", "scharr", "prewitt", "roberts") exact int32 or int64, and float32 or float64 for
        an l2 magnitude; else float32 (float64 for 32- and 64-bit integers). A narrower integer saturates after rounding
        half to even.
    out : arrays to write into, by their names: a mapping, or the Gradient of an earlier call; for one thing wanted the
        array itself. They may overlap x, not each other.
    threads : at most this many; the bits of the results do not depend on it.

    Returns a Gradient. The direction is atan2(gy, gx) in radians (0 along x, growing from x towards y, which points
    down; 0 where both are 0), float32 or float64; the mask is bool. Raises ArgumentError or ArgumentTypeError naming
    the argument; RangeError where an exact sum may exceed 64 bits.

    >>> g = gradient([[0, 0, 8], [0, 0, 8], [0, 0, 8]], above=20)
    >>> g.gx
    array([[ 0, 32,  0],
           [ 0, 32,  0],
           [ 0, 32,  0]])
    >>> g.mask[1], g.scale
    (array([False,  True, False]), 8.0)
    """
    image, threads = as_image("x", x), check_threads(threads)
    made = _prepare(image, operator, wanted, norm, above, sigma, axes, border, fill, dtype)
    outs = _given(out, made.run) if out is not None else empty_outs(made.run)
    results = made.run(image, outs, made.table, threads)
    return Gradient(**{w.name: o for w, o in zip(made.run.wanted, results, strict=True)}, scale=made.scale)


# ---------------------------------------------------------------- from arguments to a pass


class Prepared(NamedTuple):
    """A pass, its table and the scale of its operator."""

    run: Pass | Composed
    table: np.ndarray
    scale: float


_prepared: dict[Any, Prepared] = {}


def forget() -> None:
    """Drop all remembered passes."""
    _prepared.clear()


def _prepare(image: np.ndarray, operator: Any, *options: Any) -> Prepared:
    key = image.shape, image.dtype, repr((operator, *options)), current_target()
    found = _prepared.get(key)
    if found is not None:
        return found
    try:
        made = _make(image.shape, image.dtype, None, operator, *options)
    except NeedsLargest:
        return _make(image.shape, image.dtype, largest_magnitude(image), operator, *options)
    if len(_prepared) >= MOST_PREPARED:
        _prepared.clear()
    _prepared[key] = made
    return made


def _make(
    shape: tuple[int, ...], dtype: np.dtype, largest: int | None, name: Any, wanted: Any, norm: Any, above: Any,
    sigma: Any, axes: Any, border: Any, fill: Any, asked: Any,
) -> Prepared:  # fmt: skip
    one_of("norm", norm, NORMS)
    operator = find_operator(name, sigma)
    where = image_axes(axes, len(shape))
    limit = None if above is None else check_above(above)
    names = _names(wanted, len(where), limit is not None)
    problem = _problem(shape, dtype, operator, where, border, fill, asked, largest)
    norm = norm if len(where) > 1 else "l1"
    exact = problem.sums.kind == "i"
    real = _real(problem, asked)
    order: list[Wanted] = []
    for number, component in enumerate(COMPONENTS[-len(where) :]):
        if component in names:
            order.append(Wanted(component, f"component:{number}", problem.result))
    if "magnitude" in names:
        plain = norm == "l1" or asked is not None or not exact
        order.append(Wanted("magnitude", norm, problem.result if plain else real))
    if "direction" in names:
        order.append(Wanted("direction", "direction", real))
    if "mask" in names and limit is not None:
        order.append(Wanted("mask", mask_kind(norm, limit, problem.sums), np.dtype(bool)))
    how = make_pass if len(operator.smooth) <= LONGEST else compose
    made = how(problem, operator.factors(len(where)), order, current_target())
    return Prepared(made, threshold_table(made.spec, 0 if limit is None else limit), operator.scale(len(where)))


def _problem(
    shape: tuple[int, ...], dtype: np.dtype, operator: Operator, axes: tuple[int, ...], border: Any, fill: Any,
    asked: Any, largest: int | None,
) -> Problem:  # fmt: skip
    """Geometry and dtypes, from a kernel that stands for all components."""
    if dtype.kind == "c":
        raise ArgumentTypeError(f"`x` must be real (got {dtype})")
    problem = normalise(
        shape, dtype, operator.bound(len(axes)), flip=False, mode="same", border=border, fill=fill, anchor=None,
        stride=1, dilation=1, axes=axes, nan="propagate", dtype=asked, largest=largest,
    )  # fmt: skip
    if problem.result.kind == "c":
        raise ArgumentTypeError(f"`dtype` must be real (got {asked!r})")
    return problem


def _real(problem: Problem, asked: Any) -> np.dtype:
    """The dtype of angles, and of roots where nothing else is asked for."""
    if asked is not None and problem.result.kind == "f":
        return problem.result
    if problem.image.kind == "f":
        return problem.image
    return np.dtype(np.float64 if problem.sums.itemsize == 8 else np.float32)


def _names(wanted: Any, axes: int, threshold: bool) -> set[str]:
    """What is wanted, by the names of Gradient's fields."""
    components = COMPONENTS[-axes:]
    possible = {*components, "components", "magnitude", "mask", *(("direction",) if axes == 2 else ())}
    if wanted is None:
        return {n for n in possible if n != "components" and (threshold or n != "mask")}
    given = (wanted,) if isinstance(wanted, str) else wanted
    if not isinstance(given, (tuple, list, set, frozenset)) or not all(isinstance(n, str) for n in given):
        raise ArgumentTypeError(f"`wanted` must be a name or several (got {wanted!r})")
    if not given or not possible.issuperset(given):
        allowed = ", ".join(repr(n) for n in (*components, "components", *NAMES[3:]) if n in possible)
        raise ArgumentError(f"`wanted` must be one or several of {allowed} for {axes} axes (got {wanted!r})")
    if ("mask" in given) != threshold:
        raise ArgumentError(f"`above` goes with a mask, and a mask needs it (got `wanted`={wanted!r})")
    return {*given, *components} - {"components"} if "components" in given else set(given)


def _given(out: Any, run: Pass | Composed) -> list[np.ndarray]:
    """The arrays to write into, checked, in the order of the pass."""
    names = [w.name for w in run.wanted]
    if isinstance(out, np.ndarray) and len(names) == 1:
        arrays: Mapping[str, Any] = {names[0]: out}
    elif isinstance(out, Gradient):
        arrays = {n: getattr(out, n) for n in NAMES if getattr(out, n) is not None}
    elif isinstance(out, Mapping):
        arrays = out
    else:
        raise ArgumentTypeError(f"`out` must be an array for one thing wanted, or a mapping (got {type(out).__name__})")
    if set(arrays) != set(names):
        raise ArgumentError(
            f"`out` must hold {', '.join(sorted(names))} (got {', '.join(map(str, arrays)) or 'nothing'})"
        )
    for w in run.wanted:
        check_result(arrays[w.name], run.problem.result_shape, w.dtype, w.name)
    return [arrays[n] for n in names]


# ---------------------------------------------------------------- the magnitude alone


def _magnitude(operator: str) -> Callable[..., np.ndarray]:
    def apply(
        x: Any,
        *,
        norm: str = "l2",
        axes: int | tuple[int, ...] | None = None,
        border: str = "reflect",
        fill: float = 0,
        dtype: Any = None,
        out: np.ndarray | None = None,
        threads: int | None = None,
    ) -> np.ndarray:
        options: dict[str, Any] = {"norm": norm, "axes": axes, "border": border, "fill": fill, "dtype": dtype}
        found = gradient(x, operator, wanted="magnitude", out=out, threads=threads, **options).magnitude
        assert found is not None, "it is wanted"
        return found

    apply.__name__ = apply.__qualname__ = operator
    apply.__doc__ = f"""The magnitude of the gradient by {operator.capitalize()}'s operator: an array of x's shape.

    The same as ``gradient(x, {operator!r}, wanted="magnitude", ...).magnitude``: see `gradient` for the arguments, the
    dtypes and the errors, and `kernelwise.edges.operators` for the weights, their scale and their source.

    >>> {operator}([[1, 1, 1], [1, 1, 1]]).shape
    (2, 3)
    """
    return apply


sobel, scharr, prewitt, roberts, farid = (_magnitude(n) for n in ("sobel", "scharr", "prewitt", "roberts", "farid"))
