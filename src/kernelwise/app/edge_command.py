"""`kernelwise edges`: the edges of photographs, as pictures and as chains."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ..errors import ArgumentError, FileError, KernelwiseError
from . import chains, files, options, shades, tracing
from .terminal import describe, fail, say

RULES = ("auto", "otsu", "median")
Level = Annotated[
    str | None,
    typer.Option(
        metavar="RULE|PERCENT|NUMBER",
        help="Canny's threshold of the slope: auto, otsu or median; or 5%, what so many pixels exceed; or a number. "
        "Edges hang together above --low, and rise above --high somewhere.",
    ),
]


@dataclass(frozen=True)
class Job:
    """One picture: where it is, and where its edges and chains go; None is nowhere."""

    image: Path
    output: Path | None
    chains: Path | None


def edges(
    images: Annotated[list[Path], typer.Argument(help="PNG, JPEG, TIFF, BMP, WebP, GIF or .npy.", show_default=False)],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="A picture (.png, .jpg, .bmp, .webp) or the numbers (.npy, .tif). A folder for several images: "
            "a .png of the same name for each.",
        ),
    ] = None,
    method: Annotated[
        tracing.Method, typer.Option(help="canny and log find edges; the others give how steep every pixel is.")
    ] = tracing.Method.CANNY,
    sigma: Annotated[
        float | None,
        typer.Option(min=0, help="Pixels of the Gaussian before it: 1 for canny, 2 for log, none for the others."),
    ] = None,
    jump: Annotated[
        float | None,
        typer.Option(min=0, help="How much log must change across an edge; 4 times its median if not given."),
    ] = None,
    low: Level = None,
    high: Level = None,
    norm: Annotated[str | None, typer.Option(metavar="l1|l2", help="How canny adds the two slopes; l2.")] = None,
    operator: Annotated[str | None, typer.Option(help="How canny takes slopes: sobel, scharr, ...; sobel.")] = None,
    aperture: Annotated[int | None, typer.Option(help="Side of canny's Sobel kernels, 3, 5 or 7; 3.")] = None,
    opencv: Annotated[
        bool, typer.Option("--opencv", help="The very pixels of cv2.Canny, for 8 bits; sigma 0 if not given.")
    ] = False,
    gray: Annotated[bool, typer.Option("--gray", help="Take the brightness of a colour image (BT.601).")] = False,
    chains_to: Annotated[
        str | None,
        typer.Option(
            "--chains",
            metavar="FILE|json|svg",
            help="Edges linked into chains: a .json or .svg file; or only json or svg, for a file beside the output.",
        ),
    ] = None,
    subpixel: Annotated[
        bool, typer.Option("--subpixel", help="Positions of the chains' points finer than a pixel.")
    ] = False,
    min_length: Annotated[int | None, typer.Option(min=1, help="Leave out chains of fewer points.")] = None,
    threads: options.Threads = None,
    max_megapixels: options.Megapixels = options.DEFAULT_MEGAPIXELS,
) -> None:
    """Find the edges of photographs: a picture of them for each, and their chains as JSON or SVG."""
    settings = tracing.settle(
        method,
        sigma,
        jump,
        threads,
        low=level(low, "--low"),
        high=level(high, "--high"),
        norm=norm,
        operator=operator,
        aperture=aperture,
        opencv=opencv or None,
    )
    if chains_to is not None and method not in tracing.MAPS:
        raise ArgumentError(f"`--chains` needs a map of edges: --method canny or log (got --method {method})")
    if chains_to is None and (subpixel or min_length is not None):
        raise ArgumentError(f"`--{'subpixel' if subpixel else 'min-length'}` is for --chains, which is not given")
    jobs = plan(images, output, chains_to)
    work = Work(settings, gray, subpixel, min_length, options.pixels(max_megapixels))
    if len(jobs) == 1:
        work.tell(jobs[0])
    else:
        every(jobs, work)


def level(text: str | None, option: str) -> Any:
    """A threshold as canny takes it: a rule, ("fraction", 0.05) for "5%", or a number."""
    if text is None or text in RULES:
        return text
    if text.endswith("%"):
        return ("fraction", float(options.number(text[:-1], option)) / 100)
    return float(options.number(text, option))


def plan(images: Sequence[Path], output: Path | None, chains_to: str | None) -> list[Job]:
    """What goes where, checked before anything is read. ArgumentError for names that cannot be or that collide."""
    if output is None and chains_to is None:
        raise ArgumentError("`--output` or `--chains` must be given: there is nothing to write otherwise")
    kind = f".{chains_to}" if f".{chains_to}" in chains.SUFFIXES else None  # "json": a file beside the output
    if chains_to is not None and kind is None:
        chains.check_suffix(chains_to)
        if len(images) > 1:
            raise ArgumentError(f"`--chains` must be json or svg for several images (got {chains_to!r})")
    folder = output is not None and (len(images) > 1 or output.is_dir())
    if output is None and kind is not None and len(images) > 1:
        raise ArgumentError("`--output` must name a folder for several images")
    if output is not None and not folder:
        files.check_suffix(output)
    if folder and output is not None and not output.is_dir():
        raise FileError(f"{output}: several images need a folder that is there")
    jobs = []
    for image in images:
        picture = output / f"{image.stem}.png" if folder and output is not None else output
        beside = image if picture is None else picture
        jobs.append(Job(image, picture, beside.with_suffix(kind) if kind else Path(chains_to) if chains_to else None))
    check_collisions(jobs)
    return jobs


def check_collisions(jobs: Sequence[Job]) -> None:
    """No two results may have one name, and none the name of a photograph."""
    taken = {job.image.resolve(): job.image for job in jobs}
    for job in jobs:
        for target in (job.output, job.chains):
            if target is None:
                continue
            other = taken.setdefault(target.resolve(), job.image)
            if other is not job.image or target.resolve() == job.image.resolve():
                raise ArgumentError(f"the result of {job.image} would replace {target}, the name that {other} has too")


@dataclass(frozen=True)
class Work:
    """What is done with every photograph."""

    settings: tracing.Settings
    gray: bool
    subpixel: bool
    min_length: int | None
    max_pixels: int

    def do(self, job: Job, told: Callable[[str, str], None]) -> str:
        """Find the edges of one photograph, write what is asked for, and sum it up: "812 edge pixels (3.1 %), 2 ms".

        `told` hears of every file that is read or written.
        """
        picture = files.read(job.image, max_pixels=self.max_pixels)
        told(job.image.name, "; ".join([describe(picture.pixels), *picture.notes]))
        x = shades.luma(picture.pixels) if self.gray and picture.is_colour else picture.pixels
        found = tracing.find(x, colour=picture.is_image and x.ndim == 3, settings=self.settings)
        words = [tracing.sum_up(found)]
        if job.chains is not None:
            traced = tracing.trace(x, found, self.settings, subpixel=self.subpixel, min_length=self.min_length)
            words.append(f"{len(traced):,} chain{'' if len(traced) == 1 else 's'}")
        summary = ", ".join([*words, f"{found.seconds * 1e3:.3g} ms"])
        told(str(self.settings.method), summary)
        if job.output is not None:
            told(job.output.name, write(job.output, found))
        if job.chains is not None:
            chains.write(
                job.chains,
                traced,
                x.shape,
                image=job.image.name,
                settings={"method": str(self.settings.method), **self.settings.given, "subpixel": self.subpixel},
            )
            told(job.chains.name, "positions finer than a pixel" if self.subpixel else "positions of pixels")
        return summary

    def tell(self, job: Job) -> None:
        """One photograph, with a line for every file."""
        self.do(job, say)


def write(path: Path, found: tracing.Found) -> str:
    """The edges in a picture, white on black, or as numbers; what was written in words."""
    suffix = files.check_suffix(path)
    if suffix not in files.PICTURES:
        numbers = found.result if suffix == ".npy" or not found.is_map else found.result * np.uint8(shades.WHITE)
        files.write(path, numbers)
        return f"the numbers, as {numbers.dtype}"
    if found.is_map:
        files.write(path, found.result * np.uint8(shades.WHITE))
        return "edges are white"
    shown = shades.to_8bit(found.result, shades.Scale.ABS, kernel=np.zeros(1), white=shades.WHITE)
    files.write(path, shown.pixels)
    return shown.said


def every(jobs: Sequence[Job], work: Work) -> None:
    """All photographs, with a bar on the terminal; one that fails is told and does not stop the others.

    Raises typer.Exit(1) at the end if any failed.
    """
    failed = 0
    terminal = Console(stderr=True)
    columns: tuple[Any, ...] = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns,
        console=terminal,
        disable=not terminal.is_terminal,
        transient=True,
        redirect_stdout=sys.stdout.isatty(),
    ) as bar:
        task = bar.add_task("edges", total=len(jobs))
        for job in jobs:
            bar.update(task, description=job.image.name)
            try:
                say(job.image.name, work.do(job, lambda *_: None))
            except (KernelwiseError, OSError) as error:
                failed += 1
                fail(str(error))
            bar.advance(task)
    say("done", f"{len(jobs) - failed} of {len(jobs)} images")
    if failed:
        raise typer.Exit(1)
