"""`kernelwise fit`: the kernel between two photographs, with a report."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from ..errors import ArgumentError
from ..fitting import KernelFit, fit_kernel
from . import files, options, shades
from .terminal import describe, say

Image = Annotated[Path, typer.Argument(help="PNG, JPEG, TIFF, BMP, WebP, GIF or .npy.", show_default=False)]


class Errors(StrEnum):
    """What error bars allow for."""

    WHITE = "white"
    ROBUST = "robust"
    HAC = "hac"


def fit(
    before: Image,
    after: Image,
    size: Annotated[str, typer.Option(help="Of the kernel: 5, or 3,7 for rows and columns, or auto.")] = "auto",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The kernel: .npy or .tif, or a picture of it.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="A page with pictures, error bars and notes: .html.")] = None,
    errors: Annotated[
        Errors, typer.Option(help="What error bars allow for: white noise, noise of any variance, correlated noise.")
    ] = Errors.WHITE,
    background: Annotated[bool, typer.Option(help="Whether a constant is learned as well.")] = True,
    x_noise: Annotated[float, typer.Option(min=0, help="Standard deviation of the noise in BEFORE.")] = 0.0,
    ridge: Annotated[str, typer.Option(help="How strongly the kernel is drawn to zero; a number, or auto.")] = "auto",
    symmetric: Annotated[
        str | None, typer.Option(help="left-right, up-down, both, point or all: what mirrors the kernel has.")
    ] = None,
    sum_to: Annotated[float | None, typer.Option(help="What the taps add up to, if it is known.")] = None,
    max_size: Annotated[int, typer.Option(min=1, help="The largest size that auto looks at.")] = 15,
    mask: Annotated[
        Path | None, typer.Option(help="A picture of AFTER's size: black where a pixel is not to be used.")
    ] = None,
    threads: options.Threads = None,
    max_megapixels: options.Megapixels = options.DEFAULT_MEGAPIXELS,
) -> None:
    """Learn the kernel that turns BEFORE into AFTER: every tap with its error bar, and what speaks against it."""
    if output is not None:
        files.check_suffix(output)
    if report is not None and report.suffix.lower() not in (".html", ".htm"):
        raise ArgumentError(f"`--report` must be a .html file (got {str(report)!r})")
    x, y = _grey(before, max_megapixels), _grey(after, max_megapixels)
    found = fit_kernel(
        x,
        y,
        "auto" if size == "auto" else options.one_or_each(size, "--size"),
        background=background,
        mask=None if mask is None else _grey(mask, max_megapixels) > 0,
        ridge="auto" if ridge == "auto" else float(options.number(ridge, "--ridge")),
        errors=errors.value,
        x_noise=x_noise,
        symmetric=symmetric,
        sum_to=sum_to,
        max_size=max_size,
        threads=threads,
    )
    typer.echo(str(found))
    if output is not None:
        say(output.name, _write(output, found))
    if report is not None:
        from . import fit_report  # draws with Matplotlib, which takes longer to import than a fit takes

        fit_report.write(report, found, [before.name, after.name])
        say(report.name, "pictures, error bars and notes")


def _grey(path: Path, max_megapixels: float) -> np.ndarray:
    """One number for each pixel: of colours the brightness."""
    picture = files.read(path, max_pixels=options.pixels(max_megapixels))
    grey = picture.is_colour and picture.pixels.ndim == 3
    say(path.name, "; ".join([describe(picture.pixels), *picture.notes, *(["its brightness"] if grey else [])]))
    return shades.luma(picture.pixels) if grey else picture.pixels


def _write(path: Path, found: KernelFit) -> str:
    if files.check_suffix(path) not in files.PICTURES:
        files.write(path, found.kernel)
        return f"the kernel, as {found.kernel.dtype}"
    shown = shades.to_8bit(np.atleast_2d(found.kernel), shades.Scale.AUTO, kernel=found.kernel, white=1.0)
    files.write(path, shown.pixels)
    return shown.said
