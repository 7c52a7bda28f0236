"""A fit as text."""

from __future__ import annotations

import textwrap
from html import escape
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .result import KernelFit

MOST_COLUMNS = 15  # of a kernel that is printed
WIDTH = 100


def table(fit: KernelFit) -> str:
    """What a person wants to know first: the kernel with its error bars, how good it is, and the notes."""
    lines = [f"{name:<12}{text}" for name, text in _facts(fit)]
    for note in fit.notes:
        lines += textwrap.wrap(note, WIDTH, initial_indent="note        ", subsequent_indent=" " * 12)
    return "\n".join([*lines, "", *_taps(fit)]).rstrip()


def html_table(fit: KernelFit) -> str:
    """The same for a notebook: taps as cells, the bluer the higher, the redder the lower, error bars below."""
    facts = "".join(f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in _facts(fit))
    notes = "".join(f"<p><b>note</b> {escape(note)}</p>" for note in fit.notes)
    if fit.kernel.ndim > 2 or fit.kernel.shape[-1] > MOST_COLUMNS:
        return f"<table>{facts}</table>{notes}"
    largest = float(np.abs(fit.kernel).max()) or 1.0
    rows = []
    for taps, errors in zip(np.atleast_2d(fit.kernel), np.atleast_2d(fit.stderr), strict=True):
        cells = [
            f'<td style="text-align:right;background:rgba({"47,102,144" if tap > 0 else "196,102,45"},'
            f'{0.6 * abs(tap) / largest:.2f})">{tap:.4g}<br><small>&plusmn; {error:.1g}</small></td>'
            for tap, error in zip(taps, errors, strict=True)
        ]
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return f"<table>{facts}</table>{notes}<table>{''.join(rows)}</table>"


def _facts(fit: KernelFit) -> list[tuple[str, str]]:
    facts = [
        ("kernel", _shape(fit)),
        ("background", _number(fit.background)),
        ("residual", f"{_number(fit.sigma)} (standard deviation), {_share(fit.r2)} of the variance explained"),
        ("outputs", f"{fit.outputs}"),
        ("condition", f"{fit.condition:.3g}, rank {fit.rank}" + (f", ridge {fit.ridge:.3g}" if fit.ridge else "")),
        (
            "error bars",
            {"white": "for white noise", "robust": "for noise of any variance", "hac": "for correlated noise"}[
                fit.errors
            ],
        ),
    ]
    if fit.size_curve is not None:
        sizes = ", ".join("x".join(map(str, size)) for size in fit.size_curve.sizes)
        facts.append(("size", f"chosen by {fit.size_curve.chosen_by} among {sizes}"))
    return facts


def _shape(fit: KernelFit) -> str:
    return " x ".join(map(str, fit.kernel.shape))


def _number(value: object) -> str:
    if isinstance(value, np.ndarray):
        return ", ".join(f"{v:.6g}" for v in value)
    return f"{value:.6g}"


def _share(value: object) -> str:
    values = np.atleast_1d(np.asarray(value, float))
    return ", ".join(f"{100 * v:.4g} %" for v in values)


def _taps(fit: KernelFit) -> list[str]:
    """Each tap with its error bar below, where the kernel is one plane of a size that can be read."""
    if fit.kernel.ndim > 2 or fit.kernel.shape[-1] > MOST_COLUMNS:
        return []
    smallest = fit.stderr[fit.stderr > 0].min(initial=np.inf)
    digits = int(np.clip(1 - np.floor(np.log10(smallest)), 0, 9)) if np.isfinite(smallest) else 6
    lines = []
    for taps, errors in zip(np.atleast_2d(fit.kernel), np.atleast_2d(fit.stderr), strict=True):
        values = [f"{v:.{digits}f}" for v in taps]
        bars = [f"+-{v:.{digits}f}" for v in errors]
        width = max(map(len, values + bars))
        lines += ["  ".join(v.rjust(width) for v in values), "  ".join(b.rjust(width) for b in bars)]
    return lines
