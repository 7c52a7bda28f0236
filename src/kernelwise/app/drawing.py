"""A page in pixels to draw on: text, arrays as cells, grey images and curves, in few colours."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO

import matplotlib
import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle
from matplotlib.ticker import NullFormatter, NullLocator

DPI = 100
POINT = 72 / DPI  # points in a pixel

PAPER, INK, QUIET, LINE = "#ffffff", "#1f2a37", "#66717f", "#c9d0d8"
BLUE, WARM = "#2f6690", "#c4662d"
SIGNED = LinearSegmentedColormap.from_list("signed", [WARM, "#f3dfd2", PAPER, "#d5e2ec", BLUE])


@contextmanager
def own_style() -> Iterator[None]:
    """Matplotlib's defaults with our font sizes, whatever the user's settings are."""
    with matplotlib.style.context("default"), matplotlib.rc_context({"font.family": "DejaVu Sans", "text.color": INK}):
        yield


def shrunk(pixels: np.ndarray, width: float) -> np.ndarray:
    """An image (H, W), block by block averaged to between two and four times `width` pixels if it is larger.

    >>> shrunk(np.arange(12.0).reshape(2, 6), 1.5).tolist()
    [[3.5, 5.5, 7.5]]
    """
    factor = int(pixels.shape[1] // (2 * width))
    rows, columns = (n // factor if factor else n for n in pixels.shape)
    if factor < 2 or not rows:
        return pixels
    blocks = pixels[: rows * factor, : columns * factor].reshape(rows, factor, columns, factor)
    return blocks.mean(axis=(1, 3))


class Page:
    """A figure of `width` x `height` pixels; all positions are pixels from its upper left corner."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor=PAPER)
        FigureCanvasAgg(self.figure)

    def save(self, stream: BinaryIO) -> None:
        """Write the page as PNG; the same page gives the same bytes. Letters that the font lacks are drawn as boxes."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
            self.figure.savefig(stream, format="png", dpi=DPI, metadata={"Software": None})

    def text(self, x: float, y: float, words: str, size: float = 15, **style: Any) -> None:
        """Words whose baseline starts at (x, y); `size` in pixels; `ha`, `weight`, `color` as in Matplotlib."""
        place = (x / self.width, 1 - y / self.height)
        self.figure.text(*place, words, fontsize=size * POINT, parse_math=False, **{"color": INK, **style})

    def axes(self, x: float, y: float, width: float, height: float) -> Axes:
        """A drawing area with its upper left corner at (x, y)."""
        bottom = 1 - (y + height) / self.height
        return self.figure.add_axes((x / self.width, bottom, width / self.width, height / self.height))

    def rule(self, x: float, y: float, width: float) -> None:
        """A thin horizontal line."""
        corner = (x / self.width, 1 - y / self.height)
        line = Rectangle(
            corner, width / self.width, 1 / self.height, transform=self.figure.transFigure, color=LINE, lw=0
        )
        self.figure.add_artist(line)

    def arrow(self, x: float, y: float, length: float) -> None:
        """An arrow to the right, starting at (x, y)."""
        tail, tip = [((x + step) / self.width, 1 - y / self.height) for step in (0, length)]
        style: dict[str, Any] = {"arrowstyle": "-|>", "mutation_scale": 11, "lw": 1.2, "shrinkA": 0, "shrinkB": 0}
        self.figure.add_artist(FancyArrowPatch(tail, tip, transform=self.figure.transFigure, color=QUIET, **style))

    def cells(
        self,
        x: float,
        y: float,
        values: np.ndarray,
        cell: float,
        *,
        form: str | None = None,
        colours: Any = None,
        limit: float = 1.0,
        framed: Sequence[tuple[int, int, int, int]] = (),
    ) -> None:
        """A 2-D array as squares of `cell` pixels, with the numbers in them when `form` is given.

        `colours` maps -limit..limit to a colour; without it the squares are paper. `framed` are (row, column, rows,
        columns) to set off with a frame.
        """
        rows, columns = values.shape
        axes = self.axes(x, y, columns * cell, rows * cell)
        axes.set(xlim=(0, columns), ylim=(rows, 0))
        axes.axis("off")
        for (i, j), value in np.ndenumerate(values):
            shade = colours(0.5 + 0.5 * float(value) / limit) if colours else PAPER
            axes.add_patch(Rectangle((j, i), 1, 1, facecolor=shade, edgecolor=LINE, lw=0.8, clip_on=False))
            if form is not None:
                dark = colours is not None and sum(matplotlib.colors.to_rgb(shade)) < 1.6
                label = format(round(float(value), 6) + 0.0, form)  # + 0.0: no minus before a zero
                size = cell * (0.42 if len(label) < 3 else 0.27)
                axes.text(
                    j + 0.5,
                    i + 0.53,
                    label,
                    fontsize=size * POINT,
                    ha="center",
                    va="center",
                    color=PAPER if dark else INK,
                )
        for i, j, height, width in framed:
            axes.add_patch(Rectangle((j, i), width, height, fill=False, edgecolor=BLUE, lw=2, clip_on=False))

    def field(self, x: float, y: float, width: float, height: float, shape: tuple[int, ...]) -> Axes:
        """Axes that count in pixels of an image (H, W), y downwards, as large as fits into the box, at its top."""
        rows, columns = shape
        scale = min(width / columns, height / rows)
        w, h = columns * scale, rows * scale
        axes = self.axes(x + (width - w) / 2, y, w, h)
        axes.set(xlim=(-0.5, columns - 0.5), ylim=(rows - 0.5, -0.5), xticks=[], yticks=[])
        for side in axes.spines.values():
            side.set(color=LINE, lw=0.8)
        return axes

    def grey(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        pixels: np.ndarray,
        colours: Any = "gray",
        corner: tuple[int, int] | None = None,
    ) -> Axes:
        """An image of values 0 to 1, as large as fits into the box, at its top, in its middle, with a thin frame.

        With a `corner`, the (column, row) of the first, its pixels are seen one by one, and the axes count in them.
        """
        axes = self.field(x, y, width, height, pixels.shape)
        rows, columns = pixels.shape
        left, top = corner or (0, 0)
        extent = (left - 0.5, left + columns - 0.5, top + rows - 0.5, top - 0.5)
        shown = pixels if corner else shrunk(pixels, axes.get_position().width * self.width)
        how = "nearest" if corner else "antialiased"
        axes.imshow(shown, cmap=colours, vmin=0, vmax=1, aspect="auto", interpolation=how, extent=extent)
        axes.set(xlim=extent[:2], ylim=extent[2:])
        return axes

    def curve(self, x: float, y: float, width: float, height: float, values: np.ndarray, *, log_steps: bool) -> Axes:
        """Values of the steps 1, 2, ... on a logarithmic scale, as a line; the box holds the tick labels too."""
        left, below = 46, 26
        right = 14 if log_steps else 4
        axes = self.axes(x + left, y, width - left - right, height - below)
        count = np.arange(1, len(values) + 1)
        axes.plot(count, values, color=BLUE, lw=2, marker="o" if len(values) < 20 else "", ms=4, clip_on=False)
        axes.set(yscale="log", xscale="log" if log_steps else "linear", xlim=(1, len(values)))
        ticks = [10**n for n in range(int(math.log10(len(values))) + 1)] if log_steps else range(2, len(values) + 1, 2)
        axes.set_xticks(list(ticks), [f"{tick:,}" for tick in ticks])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.tick_params(which="both", color=LINE, labelcolor=QUIET, labelsize=12 * POINT)
        axes.grid(axis="y", color=LINE, lw=0.6, alpha=0.6)
        for name, side in axes.spines.items():
            side.set(color=LINE, visible=name in ("left", "bottom"))
        return axes
