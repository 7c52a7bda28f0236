"""Stencils by name: what `get`, `names` and `describe` know."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from ..errors import ArgumentError, ArgumentTypeError
from . import constants as c
from . import families, sources
from .checks import constant

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Stencil:
    """A named kernel: its weights (read-only), what it does in one sentence, and where it was published."""

    name: str
    kernel: NDArray[Any]
    summary: str
    source: str


_Row: TypeAlias = "tuple[str, NDArray[Any], str, str]"


def _pair(name: str, x: NDArray[Any], y: NDArray[Any], what: str, source: str) -> Iterator[_Row]:
    yield f"{name}-x", x, f"{what} along x, positive where brightness grows to the right.", source
    yield f"{name}-y", y, f"{what} along y, positive where brightness grows downwards.", source


def _compass(name: str, kernels: NDArray[Any], source: str) -> Iterator[_Row]:
    for direction, kernel in zip(c.COMPASS, kernels, strict=True):
        yield f"{name}-{direction}", kernel, f"The edge whose bright side is {direction.upper()}; north is up.", source


def _rows() -> Iterator[_Row]:
    """Every fixed stencil."""
    yield "deck", c.DECK, "The edge kernel [1, -1]: positive where brightness falls to the right.", sources.DECK
    yield from _pair("central", c.CENTRAL_X, c.CENTRAL_Y, "The slope in brightness per pixel", sources.DIFFERENCES)
    yield from _pair("sobel", c.SOBEL_X, c.SOBEL_Y, "8 times the slope", sources.SOBEL)
    yield from _pair(
        "scharr", c.SCHARR_X, c.SCHARR_Y, "32 times the slope, nearly the same in all directions,", sources.SCHARR
    )
    yield from _pair("prewitt", c.PREWITT_X, c.PREWITT_Y, "6 times the slope", sources.PREWITT)
    yield from _pair("farid", c.FARID_X, c.FARID_Y, "0.9918 times the slope, from 5 x 5 pixels,", sources.FARID)
    yield from _pair("frei-chen", c.FREI_CHEN_X, c.FREI_CHEN_Y, "2 (2 + sqrt(2)) times the slope", sources.FREI_CHEN)
    yield (
        "roberts-1",
        c.ROBERTS[0],
        "The difference along the diagonal, positive where it grows down and right.",
        sources.ROBERTS,
    )
    yield (
        "roberts-2",
        c.ROBERTS[1],
        "The difference along the diagonal, positive where it grows down and left.",
        sources.ROBERTS,
    )
    yield "second-x", c.SECOND_X, "The second derivative along x.", sources.DIFFERENCES
    yield "second-y", c.SECOND_Y, "The second derivative along y.", sources.DIFFERENCES
    yield "laplace", c.LAPLACE, "The sum of the second derivatives, from 4 neighbours.", sources.DIFFERENCES
    yield (
        "laplace-8",
        c.LAPLACE_8,
        "3 times the sum of the second derivatives, from 8 neighbours.",
        sources.LAPLACIAN_MASKS,
    )
    yield "sharpen", c.SHARPEN, "Sharpens: the image minus its Laplacian of 4 neighbours.", sources.LAPLACIAN_MASKS
    yield (
        "sharpen-8",
        c.SHARPEN_8,
        "Sharpens strongly: the image minus its Laplacian of 8 neighbours.",
        sources.LAPLACIAN_MASKS,
    )
    yield "unsharp", c.UNSHARP, "Sharpens gently: the image plus what a 5 x 5 smoothing takes away.", sources.UNSHARP
    yield "emboss", c.EMBOSS, "A relief, bright on slopes that grow down and right.", sources.EMBOSS
    yield "highpass", c.HIGHPASS, "The image minus its 3 x 3 mean.", sources.HIGHPASS
    yield "identity", c.IDENTITY, "The image itself.", sources.IDENTITY
    yield from _compass("kirsch", c.KIRSCH, sources.KIRSCH)
    yield from _compass("robinson-3", c.ROBINSON_3, sources.ROBINSON)
    yield from _compass("robinson-5", c.ROBINSON_5, sources.ROBINSON)
    for number, kernel in enumerate(c.FREI_CHEN, start=1):
        kind = "edges" if number <= 4 else "lines" if number <= 8 else "the mean"
        yield f"frei-chen-{number}", kernel, f"W{number} of the orthonormal basis: one of {kind}.", sources.FREI_CHEN
    lines = ("horizontal", "vertical", "diagonal", "antidiagonal")
    for direction, kernel in zip(lines, c.LINES, strict=True):
        yield f"line-{direction}", kernel, f"Bright {direction} lines one pixel wide.", sources.LINES


_FIXED = {name: Stencil(name, kernel, summary, source) for name, kernel, summary, source in _rows()}
_NAMES = (*_FIXED, *(family.example for family in families.FAMILIES.values()))


def names() -> tuple[str, ...]:
    """All fixed names, and one example of every name that takes numbers; `get` knows each of them.

    >>> [name for name in names() if "sobel" in name]
    ['sobel-x', 'sobel-y', 'sobel-x-5', 'sobel-y-5']
    """
    return _NAMES


def get(name: str, *, argument: str = "name") -> NDArray[Any]:
    """The kernel of that name for cross-correlation: 2-D, read-only, int64 or float64; cheap when asked for again.

    Names with numbers: "gaussian:1.5" (sigma in pixels), "gaussian-5", "box-5", "binomial-5", "sobel-x-7" (sizes),
    "disk:3" (radius), "log:1.4", "dog:1.4,ratio=2", "motion:9,angle=0.5", "gabor:wavelength=8,theta=0.5" (radians).
    The sigma of "gaussian-5" is OpenCV's for that size, 0.3 * ((size - 1) * 0.5 - 1) + 0.8. `argument` is what the
    caller calls the name, for the error. Raises ArgumentTypeError for what is not a string, ArgumentError for an
    unknown name or for numbers that give no kernel.

    >>> get("deck")
    array([[ 1, -1]])
    """
    return describe(name, argument=argument).kernel


def describe(name: str, *, argument: str = "name") -> Stencil:
    """The Stencil of that name: kernel, summary and source. Names and errors as in `get`.

    >>> describe("sharpen").summary
    'Sharpens: the image minus its Laplacian of 4 neighbours.'
    """
    if not isinstance(name, str):
        raise ArgumentTypeError(f"`{argument}` must be the name of a stencil, such as 'sobel-x' (got {name!r})")
    stencil = _FIXED.get(name)
    if stencil is not None:
        return stencil
    try:
        return _with_numbers(name)
    except ArgumentError as error:
        if argument == "name":
            raise
        raise ArgumentError(str(error).replace("`name`", f"`{argument}`", 1)) from None


@functools.lru_cache(maxsize=64)
def _with_numbers(name: str) -> Stencil:
    parts = families.split(name)
    if parts is None:
        raise ArgumentError(f"`name` must be one of kernelwise.stencils.names(){_closest(name)} (got {name!r})")
    kernel = families.build(name, *parts)
    return Stencil(name, constant(kernel, kernel.dtype), parts[0].summary, parts[0].source)


def _closest(name: str) -> str:
    import difflib  # for a message only

    likely = name.lower().replace("_", "-").replace(" ", "-")[:60]
    found = difflib.get_close_matches(likely, _NAMES, n=3, cutoff=0.5) or ["sobel-x", "box-5", "gaussian:1.5"]
    return ", such as " + " or ".join(repr(n) for n in found)


def clear_cache() -> None:
    """Forget the kernels built for names with numbers; arrays already handed out stay as they are."""
    _with_numbers.cache_clear()
