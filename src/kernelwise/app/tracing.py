"""Edges of one picture as the command line asks for them: a map or a magnitude, chains, and how long it took."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

import kernelwise as kw

from .. import edges
from ..errors import ArgumentError
from . import chains, shades


class Method(StrEnum):
    """How edges are found: two of them give a map of edges, the others how steep every pixel is."""

    CANNY = "canny"
    LOG = "log"
    SOBEL = "sobel"
    SCHARR = "scharr"
    PREWITT = "prewitt"
    ROBERTS = "roberts"
    FARID = "farid"
    CENTRAL = "central"
    GAUSSIAN = "gaussian"


MAPS = (Method.CANNY, Method.LOG)
NOISE = 4.0  # times the median magnitude: changes of sign smaller than that are taken for noise
LEAST_SIGMA = 0.5  # pixels; with less there are no positions finer than a pixel
DEFAULT_SIGMA = {Method.CANNY: 1.0, Method.LOG: 2.0, Method.GAUSSIAN: 1.0}  # pixels


@dataclass(frozen=True)
class Found:
    """`result` is a bool map (H, W), or a magnitude (H, W) of float; `seconds` what the call took."""

    result: np.ndarray
    seconds: float

    @property
    def is_map(self) -> bool:
        """True where every pixel is an edge or none."""
        return bool(self.result.dtype == np.bool_)


@dataclass(frozen=True)
class Settings:
    """What was asked for, checked: `given` are the arguments of the method as the library takes them."""

    method: Method
    given: Mapping[str, Any]
    threads: int | None

    def __str__(self) -> str:
        words = [str(self.method), *(f"{name} {value}" for name, value in self.given.items())]
        return ", ".join(words)


def settle(method: Method, sigma: float | None, jump: float | None, threads: int | None, **of_canny: Any) -> Settings:
    """The arguments of a method; None is an option that was not given. ArgumentError for one the method has not."""
    if jump is not None and method is not Method.LOG:
        raise ArgumentError(f"`--jump` is for --method log (got --method {method})")
    given = {name: value for name, value in of_canny.items() if value is not None}
    if method is not Method.CANNY and given:
        raise ArgumentError(f"`--{next(iter(given))}` is for --method canny (got --method {method})")
    if method in DEFAULT_SIGMA:
        default = 0.0 if of_canny.get("opencv") else DEFAULT_SIGMA[method]
        given = {"sigma": default if sigma is None else sigma} | given
    elif sigma is not None:
        given = {"sigma": sigma}
    if jump is not None:
        given["jump"] = jump
    return Settings(method, given, threads)


def find(x: np.ndarray, colour: bool, settings: Settings) -> Found:
    """Edges of an image (H, W), or (H, W, channels) of a colour image, where the steepest channel counts.

    Raises ArgumentError for an array of another shape, and what the library raises for arguments it does not take.
    """
    if x.ndim != (3 if colour else 2):
        raise ArgumentError(f"edges are found in images of two axes, or of colours (got an array of shape {x.shape})")
    start = time.perf_counter()
    result = _FINDERS.get(settings.method, _slope)(x, colour, settings)
    return Found(result, time.perf_counter() - start)


def _canny(x: np.ndarray, colour: bool, settings: Settings) -> np.ndarray:
    found = edges.canny(x, channel_axis=2 if colour else None, threads=settings.threads, **settings.given)
    return found != 0  # with opencv=True it is 0 and 255


def _log(x: np.ndarray, colour: bool, settings: Settings) -> np.ndarray:
    if colour:
        raise ArgumentError("`--method log` takes no colours: use --gray")
    given, threads = dict(settings.given), settings.threads
    jump = given.pop("jump", None)
    second = edges.log(x, threads=threads, **given)
    if jump is None:  # noise has crossings everywhere, small ones
        jump = NOISE * float(np.median(np.abs(second)))
    return edges.zero_crossings(second, jump=jump, threads=threads)


def _slope(x: np.ndarray, colour: bool, settings: Settings) -> np.ndarray:
    given, threads = dict(settings.given), settings.threads
    sigma = given.pop("sigma", 0.0)
    if settings.method is Method.GAUSSIAN:
        given = {"sigma": sigma}
    elif sigma:
        x = kw.correlate(x, f"gaussian:{sigma:g}", axes=(0, 1), threads=threads)
    name = str(settings.method)
    magnitude = edges.gradient(x, name, wanted="magnitude", axes=(0, 1), threads=threads, **given).magnitude
    return magnitude.max(axis=2) if colour else magnitude


_FINDERS = {Method.CANNY: _canny, Method.LOG: _log}


def sum_up(found: Found) -> str:
    """How many pixels are edges, or how steep they are, in words."""
    if not found.is_map:
        return f"slopes to {float(found.result.max(initial=0)):.6g}"
    count = int(np.count_nonzero(found.result))
    return f"{count:,} edge pixels ({count / max(1, found.result.size):.1%})"


def trace(
    x: np.ndarray, found: Found, settings: Settings, *, subpixel: bool, min_length: int | None
) -> list[chains.Line]:
    """The map's pixels linked into chains of at least `min_length` pixels.

    With `subpixel`, positions finer than a pixel, of colours by their brightness; pixels where the slope has no
    maximum nearby have none and are left out of their chain.
    """
    least = min_length or 1
    if not subpixel:
        linked = edges.link(found.result, min_length=least)
        return [chains.Line(chain.pixels[:, 0], chain.pixels[:, 1], chain.closed) for chain in linked]
    sigma = max(float(settings.given.get("sigma", 0.0)), LEAST_SIGMA)
    points = edges.subpixel(shades.luma(x), found.result, sigma=sigma, threads=settings.threads)
    return lines(edges.link(found.result, points, min_length=least), points, found.result.shape)


def lines(linked: Sequence[edges.Chain], points: edges.Points, shape: Sequence[int]) -> list[chains.Line]:
    """Chains that `link` made of points, with the strength and direction of each; points that have no position go."""
    place = np.full(shape, -1)
    place[points.row, points.column] = np.arange(len(points))
    made = []
    for chain in linked:
        at = place[chain.pixels[:, 0], chain.pixels[:, 1]]
        at = at[at >= 0]
        if len(at):
            values = (points.y[at], points.x[at], chain.closed, points.strength[at], points.direction[at])
            made.append(chains.Line(*values))
    return made
