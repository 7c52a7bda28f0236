"""Chains of edge points in files: JSON for programs, SVG to look at or to cut along."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np

from ..atomic import replacing
from ..errors import ArgumentError

SUFFIXES = (".json", ".svg")
FORMAT, VERSION = "kernelwise chains", 1
UNITS = "pixels; x to the right, y downwards; (0, 0) is the middle of the upper left pixel"
DIGITS = 4  # behind the point: more than anybody can measure
COLOURS = ("#2f6690", "#c4662d", "#4a7c59", "#8c4a7c", "#a8892c", "#3f7f8c")  # of chains that lie side by side
PAPER = "#ffffff"


@dataclass(frozen=True)
class Line:
    """A chain to be written: the positions `y`, `x` (n,) of its points in their order, in pixels, and whether the last
    joins the first; with positions finer than a pixel, how steep the edge is at each point and where it rises to."""

    y: np.ndarray
    x: np.ndarray
    closed: bool
    strength: np.ndarray | None = None
    direction: np.ndarray | None = None


def check_suffix(path: str | os.PathLike[str]) -> str:
    """The suffix of `path` in lower case; ArgumentError for one that is not of a file of chains."""
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise ArgumentError(f"the name of the chains must end in {' or '.join(SUFFIXES)} (got {os.fspath(path)!r})")
    return suffix


def write(
    path: str | os.PathLike[str],
    chains: Sequence[Line],
    shape: Sequence[int],
    *,
    image: str,
    settings: Mapping[str, Any],
) -> None:
    """Write chains of an image of `shape` (H, W, ...) as the suffix says, whole or not at all.

    JSON: one object with the fields `format`, `version`, `image` (`name`, `height`, `width`), `edges` (the `settings`
    that found them), `units`, and `chains`, a list of objects with `closed` (true for a ring), `length` (in pixels,
    along the points and back to the first in a ring) and `points`, a list of [x, y]; a chain that has them also has
    `strength` and `direction`, one number for each point.
    SVG: a page as large as the image, a path for each chain. Raises ArgumentError for another suffix, FileError or
    OSError when the file cannot be written.
    """
    size = (int(shape[0]), int(shape[1]))
    if check_suffix(path) == ".svg":
        text = svg(chains, size, title=f"Edges of {image}")
    else:
        found: dict[str, Any] = {"format": FORMAT, "version": VERSION}
        found["image"] = {"name": image, "height": size[0], "width": size[1]}
        found |= {"edges": dict(settings), "units": UNITS}
        found["chains"] = [_object(chain) for chain in chains]
        text = json.dumps(found, separators=(",", ":"), allow_nan=False) + "\n"
    with replacing(path) as stream:
        stream.write(text.encode())


def _object(chain: Line) -> dict[str, Any]:
    points = _points(chain)
    made: dict[str, Any] = {"closed": bool(chain.closed), "length": round(_length(points, chain.closed), DIGITS)}
    made["points"] = points.round(DIGITS).tolist()
    for name, values in (("strength", chain.strength), ("direction", chain.direction)):
        if values is not None:
            made[name] = values.round(DIGITS).tolist()
    return made


def _points(chain: Line) -> np.ndarray:
    """(n, 2) float64: x and y of every point."""
    return np.stack([chain.x, chain.y], axis=-1).astype(np.float64)


def _length(points: np.ndarray, closed: bool) -> float:
    steps = np.diff(points, axis=0, append=points[:1]) if closed else np.diff(points, axis=0)
    return float(np.hypot(steps[:, 0], steps[:, 1]).sum())


def svg(chains: Sequence[Line], size: tuple[int, int], *, title: str) -> str:
    """The drawing as text: `size` is (height, width) in pixels, and a pixel's middle has whole coordinates.

    >>> drawn = svg([Line(x=np.array([0, 1.5]), y=np.array([2, 2]), closed=False)], (4, 6), title="Two points")
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
