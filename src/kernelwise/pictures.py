"""Fits as pictures, with Matplotlib: the kernel, its error bars, what is left, and how the size was chosen.

A door of its own, because the rest of the library does without Matplotlib; `KernelFit.plot` opens it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from .fitting import KernelFit

SIGNED, AMOUNT = "RdBu", "Greys"
MOST_LETTERED = 9  # rows and columns of a kernel whose taps are written into its cells
MOST_PIXELS = 900  # along an axis of the residual that is drawn
SPREAD = 3  # standard deviations from which on a residual is full colour
INK, QUIET, ACCENT = "#1f2a37", "#66717f", "#2f6690"


def draw_fit(fit: KernelFit) -> Figure:
    """Four panels: the kernel, the standard error of each tap, the residual, and the size curve (or, where the size was
    given, how residuals of neighbours go together). Of a fit with channels the first ones are shown.

    Returns a figure with a canvas of its own: ``figure.savefig(path)`` writes it, pyplot does not know of it.
    """
    with matplotlib.style.context("default"):
        figure = Figure(figsize=(11, 8.2), dpi=100, layout="constrained")
        FigureCanvasAgg(figure)
        (one, two), (three, four) = figure.subplots(2, 2)
        kernel, errors = _plane(fit, fit.kernel), _plane(fit, fit.stderr)
        largest = float(np.abs(kernel).max()) or 1.0
        _cells(one, kernel, "kernel", SIGNED, -largest, largest)
        _cells(two, errors, "standard error of each tap", AMOUNT, 0.0, 2 * float(errors.max()) or 1.0)
        _residual(three, fit)
        if fit.size_curve is not None:
            _sizes(four, fit)
        else:
            _neighbours(four, fit)
        figure.suptitle(_title(fit), fontsize=11, color=INK)
    return figure


def _title(fit: KernelFit) -> str:
    explained = ", ".join(f"{100 * share:.4g} %" for share in np.atleast_1d(fit.r2))
    shape = " x ".join(map(str, fit.kernel.shape))
    return f"kernel {shape} from {fit.outputs:,} outputs: {explained} of the variance explained"


def _plane(fit: KernelFit, values: np.ndarray) -> np.ndarray:
    """The rows and columns that can be shown: of the first result, the first channel, the middle plane."""
    if fit.channels:
        values = values[0, 0]
    while values.ndim > 2:
        values = values[len(values) // 2]
    return np.atleast_2d(values)


def _cells(axes: Axes, values: np.ndarray, title: str, colours: str, low: float, high: float) -> None:
    image = axes.imshow(values, cmap=colours, vmin=low, vmax=high, interpolation="nearest")
    axes.figure.colorbar(image, ax=axes, shrink=0.85)
    if max(values.shape) > MOST_LETTERED:
        _bare(axes, title)
        return
    letters, unit = _letters(values)
    _bare(axes, title + unit)
    for (row, column), value in np.ndenumerate(values):
        dark = abs(value) > 0.6 * max(abs(low), abs(high))
        colour = "white" if dark else INK
        axes.text(column, row, str(letters[row, column]), ha="center", va="center", fontsize=8, color=colour)


def _letters(values: np.ndarray) -> tuple[np.ndarray, str]:
    """Each number in a few letters, all with the same decimals, and the power of ten that they are to be taken by."""
    largest = float(np.abs(values).max()) or 1.0
    exponent = int(np.floor(np.log10(largest)))
    power = exponent if not -2 <= exponent <= 3 else 0
    scaled = values / 10.0**power
    decimals = 0 if (scaled == np.round(scaled)).all() else min(3, max(0, 2 - (exponent - power)))
    letters = np.array([[f"{value:.{decimals}f}" for value in row] for row in scaled.round(decimals) + 0.0])
    return letters, f", in units of 1e{power}" if power else ""


def _residual(axes: Axes, fit: KernelFit) -> None:
    if not fit.residuals:
        axes.text(0.5, 0.5, "no residual:\na fit from sums alone", ha="center", va="center", color=QUIET)
        _bare(axes, "residual")
        return
    left = np.asarray(fit.residuals[0])
    sigma = float(np.nanstd(left)) or 1.0
    while left.ndim > 2:
        left = left[0]
    if left.ndim == 1:
        axes.plot(left, color=ACCENT, linewidth=0.6)
        axes.set_title("residual", fontsize=10, color=INK, loc="left")
        return
    step = max(1, -(-max(left.shape) // MOST_PIXELS))
    image = axes.imshow(left[::step, ::step], cmap=SIGNED, vmin=-SPREAD * sigma, vmax=SPREAD * sigma)
    _bare(axes, f"residual, standard deviation {sigma:.4g}")
    axes.figure.colorbar(image, ax=axes, shrink=0.85)


def _sizes(axes: Axes, fit: KernelFit) -> None:
    curve = fit.size_curve
    assert curve is not None
    names = [" x ".join(map(str, dict.fromkeys(size))) if len(set(size)) > 1 else str(size[0]) for size in curve.sizes]
    places = np.arange(len(names))
    for name, style in zip(curve.criteria, ("--", "-", ":", "-."), strict=False):
        rise = np.asarray(curve.criteria[name]) - np.min(curve.criteria[name])
        axes.plot(places, np.maximum(rise, 0.1), style, marker="o", markersize=4, label=name.upper())
    axes.axvline(list(curve.sizes).index(curve.chosen), color=QUIET, linewidth=0.8, zorder=0)
    axes.set_yscale("log")
    axes.set_xticks(places, names)
    axes.set_xlabel("size")
    axes.set_title("size: how far above its best each criterion is", fontsize=10, color=INK, loc="left")
    axes.legend(frameon=False, fontsize=9)


def _neighbours(axes: Axes, fit: KernelFit) -> None:
    values = fit.autocorrelation
    if values is None:
        axes.set_axis_off()
        return
    while values.ndim > 2:
        values = values[len(values) // 2]
    values = np.atleast_2d(values)
    others: Any = values.copy()
    others[values.shape[0] // 2, values.shape[1] // 2] = 0
    limit = max(0.05, float(np.abs(others).max()))
    _cells(axes, others, "correlation of residuals with their neighbours", SIGNED, -limit, limit)


def _bare(axes: Axes, title: str) -> None:
    axes.set_title(title, fontsize=10, color=INK, loc="left")
    axes.set_xticks([])
    axes.set_yticks([])
