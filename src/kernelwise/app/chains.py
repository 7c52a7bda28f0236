"""Chains of edge points in files: JSON for programs, SVG to look at or to cut along."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol
from xml.sax.saxutils import escape

import numpy as np

from ..errors import ArgumentError
from .atomic import replacing

SUFFIXES = (".json", ".svg")
FORMAT, VERSION = "kernelwise chains", 1
UNITS = "pixels; x to the right, y downwards; (0, 0) is the middle of the upper left pixel"
DIGITS = 4  # behind the point: more than anybody can measure
COLOURS = ("#2f6690", "#c4662d", "#4a7c59", "#8c4a7c", "#a8892c", "#3f7f8c")  # of chains that lie side by side
PAPER = "#ffffff"


class Chain(Protocol):
    """What is written of a chain: the positions of its points in their order, and whether the last joins the first."""

    @property
    def y(self) -> np.ndarray:
        """Positions downwards, in pixels."""

    @property
    def x(self) -> np.ndarray:
        """Positions to the right, in pixels."""

    @property
    def closed(self) -> bool:
        """Whether the chain is a ring."""


def check_suffix(path: str | os.PathLike[str]) -> str:
    """The suffix of `path` in lower case; ArgumentError for one that is not of a file of chains."""
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise ArgumentError(f"the name of the chains must end in {' or '.join(SUFFIXES)} (got {os.fspath(path)!r})")
    return suffix


def write(
    path: str | os.PathLike[str],
    chains: Sequence[Chain],
    shape: Sequence[int],
    *,
    image: str,
    settings: Mapping[str, Any],
    strength: Sequence[np.ndarray] = (),
    direction: Sequence[np.ndarray] = (),
) -> None:
    """Write chains of an image of `shape` (H, W, ...) as the suffix says, whole or not at all.

    JSON: one object with the fields `format`, `version`, `image` (`name`, `height`, `width`), `edges` (the `settings`
    that found them), `units`, and `chains`, a list of objects with `closed` (true for a ring), `length` (in pixels,
    along the points and back to the first in a ring) and `points`, a list of [x, y]. Where `strength` and `direction`
    are given, one array for each chain, its object has them too, one number for each point.
    SVG: a page as large as the image, a path for each chain. Raises ArgumentError for another suffix, ImageError or
    OSError when the file cannot be written.
    """
    size = (int(shape[0]), int(shape[1]))
    if check_suffix(path) == ".svg":
        text = svg(chains, size, title=f"Edges of {image}")
    else:
        found: dict[str, Any] = {"format": FORMAT, "version": VERSION}
        found["image"] = {"name": image, "height": size[0], "width": size[1]}
        found |= {"edges": dict(settings), "units": UNITS}
        found["chains"] = list(_objects(chains, strength, direction))
        text = json.dumps(found, separators=(",", ":"), allow_nan=False) + "\n"
    with replacing(path) as stream:
        stream.write(text.encode())


def _objects(
    chains: Sequence[Chain], strength: Sequence[np.ndarray], direction: Sequence[np.ndarray]
) -> Iterator[dict[str, Any]]:
    for i, chain in enumerate(chains):
        points = _points(chain)
        made: dict[str, Any] = {"closed": bool(chain.closed), "length": round(_length(points, chain.closed), DIGITS)}
        made["points"] = points.round(DIGITS).tolist()
        for name, values in (("strength", strength), ("direction", direction)):
            if len(values):
                made[name] = np.asarray(values[i], np.float64).round(DIGITS).tolist()
        yield made


def _points(chain: Chain) -> np.ndarray:
    """(n, 2) float64: x and y of every point."""
    return np.stack([np.asarray(chain.x, np.float64), np.asarray(chain.y, np.float64)], axis=-1)


def _length(points: np.ndarray, closed: bool) -> float:
    steps = np.diff(points, axis=0, append=points[:1]) if closed else np.diff(points, axis=0)
    return float(np.hypot(steps[:, 0], steps[:, 1]).sum())


def svg(chains: Sequence[Chain], size: tuple[int, int], *, title: str) -> str:
    """The drawing as text: `size` is (height, width) in pixels, and a pixel's middle has whole coordinates.

    >>> from types import SimpleNamespace as chain
    >>> drawn = svg([chain(x=np.array([0, 1.5]), y=np.array([2, 2]), closed=False)], (4, 6), title="Two points")
    >>> [line.strip() for line in drawn.splitlines() if "path" in line]
    ['<path stroke="#2f6690" d="M0 2L1.5 2"/>']
    """
    height, width = size
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="-0.5 -0.5 {width} {height}">',
        f"<title>{escape(title)}</title>",
        f'<rect x="-0.5" y="-0.5" width="{width}" height="{height}" fill="{PAPER}"/>',
        '<g fill="none" stroke-width="1" stroke-linecap="round" stroke-linejoin="round">',
    ]
    for i, chain in enumerate(chains):
        words = [f"{x:.6g} {y:.6g}" for x, y in _points(chain).round(DIGITS).tolist()]
        if len(words) == 1:
            words *= 2  # a round dot
        end = "Z" if chain.closed else ""
        lines.append(f'<path stroke="{COLOURS[i % len(COLOURS)]}" d="M{"L".join(words)}{end}"/>')
    return "\n".join([*lines, "</g>", "</svg>"]) + "\n"
