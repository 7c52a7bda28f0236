"""Names with numbers in them: "gaussian:1.5" and "box-5", the functions they call and how they are read."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import ArgumentError, KernelwiseError
from . import bands, smoothing, sources

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_NAMED_TAPS = 2**20  # 1024 x 1024; named kernels are kept, so they may not be as large as those a function returns
_WHOLE = re.compile(r"[+-]?[0-9]{1,9}")
_REAL = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")


@dataclass(frozen=True, slots=True)
class Family:
    """All the kernels that one function builds, under names that begin alike."""

    example: str
    parameters: tuple[str, ...]  # in order; the first may be given without its name
    build: Callable[..., NDArray[Any]]
    summary: str
    source: str


def _gaussian_of_size(size: int) -> NDArray[Any]:
    return smoothing.gaussian(smoothing.sigma_of_size(size), size=size)


def _gaussian_x(sigma: float, **rest: Any) -> NDArray[Any]:
    return smoothing.gaussian(sigma, derivative=(0, 1), **rest)


def _gaussian_y(sigma: float, **rest: Any) -> NDArray[Any]:
    return smoothing.gaussian(sigma, derivative=(1, 0), **rest)


def _sobel_y(size: int) -> NDArray[Any]:
    return bands.sobel(size, axis=0)


_TRUNCATED = ("sigma", "size", "truncate")
_GABOR = ("wavelength", "theta", "sigma", "gamma", "phase", "size")

# A name is what stands before the number, with its mark: "-" before a size, ":" before parameters.
FAMILIES = {
    "box-": Family("box-5", ("size",), smoothing.box, "The mean of a square window of that size.", sources.BOX),
    "binomial-": Family(
        "binomial-5",
        ("size",),
        smoothing.binomial,
        "Smooths with a row of Pascal's triangle on each axis.",
        sources.BINOMIAL,
    ),
    "gaussian-": Family(
        "gaussian-5",
        ("size",),
        _gaussian_of_size,
        "Smooths with a Gaussian of that size, with the sigma that OpenCV takes for it.",
        sources.GAUSSIAN_OF_SIZE,
    ),
    "gaussian:": Family(
        "gaussian:1.5",
        _TRUNCATED,
        smoothing.gaussian,
        "Smooths with a Gaussian of that sigma, in pixels.",
        sources.GAUSSIAN,
    ),
    "gaussian-x:": Family(
        "gaussian-x:1.5",
        _TRUNCATED,
        _gaussian_x,
        "The slope along x of the image smoothed with a Gaussian, positive where brightness grows to the right.",
        sources.CANNY,
    ),
    "gaussian-y:": Family(
        "gaussian-y:1.5",
        _TRUNCATED,
        _gaussian_y,
        "The slope along y of the image smoothed with a Gaussian, positive where brightness grows downwards.",
        sources.CANNY,
    ),
    "sobel-x-": Family(
        "sobel-x-5",
        ("size",),
        bands.sobel,
        "The gradient along x with binomial smoothing of that size, positive where brightness grows to the right.",
        sources.SOBEL,
    ),
    "sobel-y-": Family(
        "sobel-y-5",
        ("size",),
        _sobel_y,
        "The gradient along y with binomial smoothing of that size, positive where brightness grows downwards.",
        sources.SOBEL,
    ),
    "log:": Family(
        "log:1.4", _TRUNCATED, bands.log, "The Laplacian of the image smoothed with a Gaussian.", sources.MARR_HILDRETH
    ),
    "dog:": Family(
        "dog:1.4",
        ("sigma", "ratio", "size", "truncate"),
        bands.dog,
        "A narrow Gaussian minus a wide one: blobs and edges of one scale, without the background.",
        sources.MARR_HILDRETH,
    ),
    "gabor:": Family(
        "gabor:wavelength=8,theta=0.5",
        _GABOR,
        bands.gabor,
        "Answers to stripes of one wavelength and direction.",
        sources.GABOR,
    ),
    "disk:": Family(
        "disk:3", ("radius",), smoothing.disk, "Blurs like a lens out of focus, evenly in a disk.", sources.DISK
    ),
    "motion:": Family(
        "motion:9,angle=0.5", ("length", "angle"), smoothing.motion, "Blurs like a straight motion.", sources.MOTION
    ),
}


def split(name: str) -> tuple[Family, dict[str, Any]] | None:
    """The family of a name and the arguments in it, or None where no family has such names.

    Raises ArgumentError if the family is known but its arguments cannot be read.
    """
    mark = ":" if ":" in name else "-"
    head, _, text = name.partition(mark) if mark == ":" else name.rpartition(mark)
    family = FAMILIES.get(head + mark)
    if family is None or (mark == "-" and not _WHOLE.fullmatch(text)):
        return None
    arguments: dict[str, Any] = {}
    for place, part in enumerate(text.split(",")):
        key, equals, value = part.rpartition("=")
        if not equals and place == 0:
            key = family.parameters[0]
        if key not in family.parameters or key in arguments or not _REAL.fullmatch(value):
            raise ArgumentError(
                f"`name` must give numbers for {_listing(family.parameters)}, each once and all but the first as "
                f"key=value, as in {family.example!r} (got {name!r})"
            )
        arguments[key] = int(value) if _WHOLE.fullmatch(value) else float(value)
    return family, arguments


def build(name: str, family: Family, arguments: dict[str, Any]) -> NDArray[Any]:
    """The kernel of a name that was split; whatever its function refuses is an ArgumentError about the name."""
    if family.parameters[0] not in arguments:
        raise ArgumentError(f"`name` must give `{family.parameters[0]}`, as in {family.example!r} (got {name!r})")
    try:
        kernel = family.build(**arguments)
    except KernelwiseError as error:
        raise ArgumentError(f"`name` must name a kernel that can be built (got {name!r}: {error})") from None
    if kernel.size > MOST_NAMED_TAPS:
        raise ArgumentError(
            f"`name` must name a kernel of at most {MOST_NAMED_TAPS} taps (got {name!r}: {kernel.size})"
        )
    return kernel


def _listing(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{n}`" for n in names)
