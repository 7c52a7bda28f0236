"""The report of a fit: one HTML page that needs nothing else, with pictures, numbers and notes."""

from __future__ import annotations

import base64
import html
import io
import os
from collections.abc import Sequence

import numpy as np

from .. import __version__
from ..atomic import replacing
from ..fitting import KernelFit
from ..pictures import draw_fit

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1f2a37; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; } td, th { padding: .15rem .8rem .15rem 0; text-align: left; vertical-align: top; }
.taps td { text-align: right; font-variant-numeric: tabular-nums; padding: .2rem .5rem; border: 1px solid #e3e7ec; }
.taps small { color: #66717f; display: block; }
.note { border-left: 4px solid #c4662d; background: #fbf3ee; padding: .5rem .9rem; margin: .6rem 0; }
.fine { border-left: 4px solid #2f6690; background: #eef4f8; padding: .5rem .9rem; margin: .6rem 0; }
img { width: 100%; } footer { color: #66717f; margin-top: 2rem; font-size: .85rem; }
"""
MOST_COLUMNS = 21  # of a table of taps


def write(path: str | os.PathLike[str], fit: KernelFit, images: Sequence[str]) -> None:
    """The page, whole or not at all. ``images``: the names of what was fitted. Raises FileError."""
    with replacing(path) as stream:
        stream.write(page(fit, images).encode())


def page(fit: KernelFit, images: Sequence[str]) -> str:
    """The page as text."""
    title = f"Kernel from {' and '.join(images)}"
    parts = [
        f"<h1>{html.escape(title)}</h1>",
        *_notes(fit),
        _picture(fit),
        "<h2>In numbers</h2>",
        _facts(fit),
        *_taps(fit),
        *_sizes(fit),
        f"<footer>kernelwise {html.escape(__version__)}</footer>",
    ]
    head = f'<meta charset="utf-8"><title>{html.escape(title)}</title><style>{STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n' + "\n".join(parts) + "\n</body></html>\n"


def _notes(fit: KernelFit) -> list[str]:
    if not fit.notes:
        return ['<p class="fine">Nothing was found that speaks against this fit.</p>']
    return [f'<p class="note">{html.escape(note)}</p>' for note in fit.notes]


def _picture(fit: KernelFit) -> str:
    stream = io.BytesIO()
    draw_fit(fit).savefig(stream, format="png", dpi=130)
    code = base64.b64encode(stream.getvalue()).decode()
    return f'<img alt="kernel, standard errors, residual and size curve" src="data:image/png;base64,{code}">'


def _facts(fit: KernelFit) -> str:
    words = {"white": "white noise", "robust": "noise of any variance", "hac": "correlated noise"}
    facts = [
        ("kernel", " x ".join(map(str, fit.kernel.shape))),
        ("sum of the taps", f"{_numbers(fit.kernel.sum())}"),
        ("background", _numbers(fit.background)),
        ("what is left (standard deviation)", _numbers(fit.sigma)),
        ("variance explained", ", ".join(f"{100 * share:.5g} %" for share in np.atleast_1d(fit.r2))),
        ("outputs", f"{fit.outputs:,}"),
        ("directions determined", f"{fit.rank}"),
        ("condition", f"{fit.condition:.3g}"),
        ("effective parameters", f"{fit.freedom:.4g}"),
        ("ridge", f"{fit.ridge:.3g}"),
        ("error bars allow for", words[fit.errors]),
    ]
    rows = "".join(f"<tr><th>{html.escape(name)}</th><td>{html.escape(text)}</td></tr>" for name, text in facts)
    return f"<table>{rows}</table>"


def _taps(fit: KernelFit) -> list[str]:
    if fit.kernel.ndim > 2 or fit.kernel.shape[-1] > MOST_COLUMNS:
        return []
    rows = []
    for taps, errors in zip(np.atleast_2d(fit.kernel), np.atleast_2d(fit.stderr), strict=True):
        cells = "".join(
            f"<td>{tap:.5g}<small>&plusmn; {error:.2g}</small></td>" for tap, error in zip(taps, errors, strict=True)
        )
        rows.append(f"<tr>{cells}</tr>")
    return ["<h2>Taps, with their standard errors</h2>", f'<table class="taps">{"".join(rows)}</table>']


def _sizes(fit: KernelFit) -> list[str]:
    curve = fit.size_curve
    if curve is None:
        return []
    names = list(curve.criteria)
    head = "".join(f"<th>{html.escape(name.upper())}, above the best</th>" for name in names)
    rows = []
    for i, size in enumerate(curve.sizes):
        values = "".join(f"<td>{curve.criteria[name][i] - min(curve.criteria[name]):,.1f}</td>" for name in names)
        chosen = " (chosen)" if size == curve.chosen else ""
        rows.append(f"<tr><th>{' x '.join(map(str, size))}{chosen}</th>{values}</tr>")
    return [
        f"<h2>Sizes, chosen by {html.escape(curve.chosen_by.upper())}</h2>",
        f"<table><tr><th></th>{head}</tr>{''.join(rows)}</table>",
    ]


def _numbers(value: object) -> str:
    return ", ".join(f"{v:.6g}" for v in np.atleast_1d(np.asarray(value, float)))
