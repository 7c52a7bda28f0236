"""The tour on one page: four steps in a row, a photograph and its edges below, and what can be learned from it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.patches import Rectangle

import kernelwise as kw

from ..atomic import replacing
from ..errors import FileError
from . import outlines, photo, steps
from .drawing import BLUE, INK, PAPER, QUIET, SIGNED, WARM, Page, own_style, shrunk

WIDTH, MARGIN, GAP = 1600, 56, 40
CARD = (WIDTH - 2 * MARGIN - 3 * GAP) / 4
THIRD = (WIDTH - 2 * MARGIN - 2 * GAP) / 3
STEPS_TOP, PHOTO_TOP = 172, 580
PHOTO_HEIGHTS = (240, 640)  # the height follows the photograph between these
DETAIL = 332  # height of what is drawn in the last row
BOTTOM = 104
THUMB = 128  # height of the small pictures before and after
DARKEST = 0.99  # of all differences so many are lighter than full colour
SOFTER = 0.7  # the power that lifts faint lines
ZOOM = (30, 46)  # rows and columns of the detail, in pixels of the photograph


@dataclass(frozen=True)
class Story:
    """Everything that the page shows."""

    operator: steps.Operator
    layer: steps.Layer
    edges: steps.Edges
    learning: steps.Learning
    photograph: photo.Photograph
    filtered: photo.Filtered
    outlines: outlines.Outlines
    learned: photo.LearnedBack


def photo_height(shape: tuple[int, ...]) -> int:
    """Pixels of height for a photograph of that shape: its own proportions, within limits.

    >>> photo_height((600, 512)), photo_height((1000, 3000))
    (550, 240)
    """
    low, high = PHOTO_HEIGHTS
    return int(min(high, max(low, round(THIRD * shape[0] / shape[1]))))


def detail_top(shape: tuple[int, ...]) -> int:
    """Where the titles of the last row stand."""
    return PHOTO_TOP + 48 + photo_height(shape) + 88


def page_height(shape: tuple[int, ...]) -> int:
    """Pixels of height of the whole page, which is WIDTH wide."""
    return detail_top(shape) + 48 + DETAIL + BOTTOM


def write(path: str | os.PathLike[str], story: Story) -> None:
    """Draw the page and write it as a PNG of WIDTH x page_height pixels. FileError when it cannot be written."""
    with own_style():
        page = Page(WIDTH, page_height(story.photograph.pixels.shape))
        _title(page)
        for number, draw in enumerate((_operator, _layer, _edges, _learning)):
            draw(page, MARGIN + number * (CARD + GAP), STEPS_TOP, story)
        _photograph(page, story)
        for number, detail in enumerate((_finer, _learned_back, _descent)):
            detail(page, MARGIN + number * (THIRD + GAP), detail_top(story.photograph.pixels.shape), story)
        _foot(page, story)
        try:
            with replacing(path) as stream:
                page.save(stream)
        except FileError:
            raise
        except OSError as error:
            raise FileError(f"{os.fspath(path)}: cannot be written: {error.strerror or error}") from error


def _title(page: Page) -> None:
    page.text(MARGIN, 72, "One operation, four steps", 36, weight="bold")
    page.text(
        MARGIN, 104, "Every number on this page was computed and checked in the run that drew it.", 16, color=QUIET
    )


def _heading(page: Page, x: float, y: float, width: float, title: str, caption: str) -> None:
    page.rule(x, y - 30, width)
    page.text(x, y, title, 20, weight="bold")
    page.text(x, y + 25, caption, 14, color=QUIET)


def _operator(page: Page, x: float, y: float, story: Story) -> None:
    step = story.operator
    _heading(page, x, y, CARD, "1  The operator", "slide, multiply, add up")
    cell, sign, top = 40, 31, y + 82
    at = x
    window = ((0, 0, 2, 2),)
    for values, framed, after in (
        (step.image, window, "∗"),
        (step.kernel, window, "="),
        (step.output, ((0, 0, 1, 1),), ""),
    ):
        rows, columns = values.shape
        page.cells(at, top + (3 - rows) * cell / 2, values, cell, form=".0f", framed=framed)
        at += columns * cell
        page.text(at + sign / 2, top + 1.5 * cell + 7, after, 22, ha="center", color=QUIET)
        at += sign
    terms = " + ".join(f"{a}·{b}" for a, b in zip(step.image[:2, :2].flat, step.kernel.flat, strict=True))
    page.text(x, top + 3 * cell + 48, f"{terms} = {step.output[0, 0]}", 17)


def _layer(page: Page, x: float, y: float, story: Story) -> None:
    step = story.layer
    _heading(page, x, y, CARD, "2  The layer", "a kernel and a bias, on a batch of images")
    cell, top, between = 15, y + 62, 26
    right = x + CARD - step.output.shape[3] * cell
    beside = step.output - step.bias[0]
    limit = float(np.abs(beside).max()) or 1.0
    for number, (image, output) in enumerate(zip(step.images, beside, strict=True)):
        level = top + number * (image.shape[1] * cell + between)
        page.cells(x, level, image[0], cell, colours=_black_to_white)
        page.cells(right, level, output[0], cell, colours=SIGNED, limit=limit)
        middle = level + image.shape[1] * cell / 2
        page.arrow(x + image.shape[2] * cell + 10, middle, right - x - image.shape[2] * cell - 20)
    centre = (x + image.shape[2] * cell + right) / 2
    first = top + image.shape[1] * cell / 2
    page.cells(centre - 44, first - 62, step.weight[0, 0], 44, form="+.2f", colours=SIGNED, limit=1)
    page.text(centre, first + 24, f"bias {step.bias[0]:+.1f}", 15, ha="center")
    page.text(x, y + 313, f"from {step.output.min():.2f}, orange, to {step.output.max():.2f}, blue", 13, color=QUIET)


def _black_to_white(level: float) -> str:
    """Colour of a pixel: cells map -1..1 to 0..1, and an image has only the upper half of that."""
    return str(min(1.0, max(0.0, 2 * level - 1)) * 0.85 + 0.15)


def _edges(page: Page, x: float, y: float, story: Story) -> None:
    step = story.edges
    _heading(page, x, y, CARD, "3  Edges", "the kernel [1, -1] sees vertical ones only")
    cell, top = 15, y + 62
    for image, found, level in ((step.stripes, step.edges, top), (step.stripes.T, step.across, top + 116)):
        right = x + CARD - step.edges.shape[1] * cell
        page.cells(x, level, image, cell, colours=_black_to_white)
        page.cells(right, level, found, cell, colours=SIGNED)
        middle = level + image.shape[0] * cell / 2
        start = x + image.shape[1] * cell
        page.cells((start + right) / 2 - 30, middle - 48, step.kernel, 30, form="+.0f", colours=SIGNED)
        page.arrow(start + 10, middle, right - start - 20)


def _learning(page: Page, x: float, y: float, story: Story) -> None:
    step = story.learning
    caption = f"{len(step.losses)} steps of descent from the images of step 3"
    _heading(page, x, y, CARD, "4  A kernel learned", caption)
    page.text(x, y + 62, "loss", 13, color=QUIET)
    page.curve(x, y + 70, CARD, 150, step.losses, log_steps=False)
    page.cells(x, y + 244, step.start, 50, form="+.2f", colours=SIGNED)
    page.arrow(x + 112, y + 269, CARD - 224)
    page.cells(x + CARD - 100, y + 244, step.kernel, 50, form="+.2f", colours=SIGNED)
    page.text(x, y + 313, "start", 13, color=QUIET)
    page.text(x + CARD, y + 313, "learned", 13, color=QUIET, ha="right")


def _photograph(page: Page, story: Story) -> None:
    pixels, found = story.photograph.pixels, story.outlines
    height, width = pixels.shape
    box = photo_height(pixels.shape)
    lefts = [MARGIN + number * (THIRD + GAP) for number in range(3)]
    for x, title, caption in zip(
        lefts,
        ("On a photograph", "What [1, -1] sees of it", "All of its edges"),
        (
            f"{_short(story.photograph.name)}, {width} x {height} pixels",
            "upright edges: darker to the right is blue, brighter orange",
            f"Canny's, linked: {found.points:,} points, {len(found.chains):,} chains",
        ),
        strict=True,
    ):
        _heading(page, x, PHOTO_TOP, THIRD, title, caption)
    top = PHOTO_TOP + 48
    page.grey(lefts[0], top, THIRD, box, pixels)
    largest = float(np.quantile(np.abs(found.upright), DARKEST)) or 1.0
    level = np.clip(found.upright / largest, -1, 1)
    drawn = np.sign(level) * np.abs(level) ** SOFTER
    page.grey(lefts[1], top, THIRD, box, 0.5 + 0.5 * shrunk(drawn, THIRD), SIGNED)
    axes = page.field(lefts[2], top, THIRD, box, pixels.shape)
    _draw_chains(axes, found, INK, 0.9)
    i, j, high, wide = _detail(story)
    axes.add_patch(Rectangle((j - 0.5, i - 0.5), wide, high, fill=False, edgecolor=WARM, lw=1.2))


def _draw_chains(axes: Any, found: outlines.Outlines, colour: str, width: float) -> None:
    """The chains as lines; the axes count in pixels of the photograph."""
    lines = [np.stack([chain.x, chain.y], axis=-1) for chain in found.chains]
    for i, chain in enumerate(found.chains):
        if chain.closed:
            lines[i] = np.concatenate([lines[i], lines[i][:1]])
    axes.add_collection(LineCollection(lines, colors=colour, linewidths=width, capstyle="round", joinstyle="round"))


def _detail(story: Story) -> tuple[int, int, int, int]:
    """The first row and column, and the rows and columns, around the strongest edge."""
    shape = story.photograph.pixels.shape
    rows, columns = (min(n, wanted) for n, wanted in zip(shape, ZOOM, strict=True))
    i, j = (
        int(min(max(0, round(at) - wanted // 2), n - wanted))
        for at, wanted, n in zip(story.outlines.strongest(), (rows, columns), shape, strict=True)
    )
    return i, j, rows, columns


def _finer(page: Page, x: float, y: float, story: Story) -> None:
    """The strongest edge, so near that its pixels are seen."""
    pixels, found = story.photograph.pixels, story.outlines
    caption = f"a detail; on a circle that is known, {found.circle.error:.3f} pixels off"
    _heading(page, x, y, THIRD, "Finer than a pixel", caption)
    i, j, rows, columns = _detail(story)
    part = pixels[i : i + rows, j : j + columns]
    low, high = float(part.min()), float(part.max())
    axes = page.grey(x, y + 48, THIRD, DETAIL, (part - low) / ((high - low) or 1.0), "gray", (j, i))
    _draw_chains(axes, found, WARM, 1.6)
    for chain in found.chains:
        axes.plot(chain.x, chain.y, "o", color=PAPER, mec=WARM, ms=3.2, mew=1.1, clip_on=True)


def _short(name: str, most: int = 36) -> str:
    """A long name with its middle left out.

    >>> _short("holiday-photograph.jpg", most=12)
    'holid…ph.jpg'
    """
    if len(name) <= most:
        return name
    return f"{name[: most // 2 - 1]}…{name[most // 2 - most :]}"


def _learned_back(page: Page, x: float, y: float, story: Story) -> None:
    rows, columns = story.learned.pixels
    _heading(page, x, y, THIRD, "A kernel learned back", f"from {columns} x {rows} pixels before and after")
    top = _before_and_after(page, x, y + 48, story)
    _kernels(page, x, top + 34, story.learned)


def _descent(page: Page, x: float, y: float, story: Story) -> None:
    learned = story.learned
    _heading(
        page,
        x,
        y,
        THIRD,
        "The way there",
        f"descent crawls; the closed form is there in {learned.seconds * 1e3:.2g} ms",
    )
    axes = page.curve(x, y + 48, THIRD, DETAIL, learned.losses, log_steps=True)
    at = [stage.steps for stage in learned.stages]
    axes.plot(at, learned.losses[np.array(at) - 1], "o", color=BLUE, ms=6, clip_on=False)


def _before_and_after(page: Page, x: float, top: float, story: Story) -> float:
    """Two small pictures; the lower end of what was drawn."""
    width = (THIRD - 44) / 2
    pixels = story.photograph.pixels
    wide = max(1, min(pixels.shape[1], round(pixels.shape[0] * width / THUMB)))
    high = max(1, min(pixels.shape[0], round(wide * THUMB / width)))
    i, j = (pixels.shape[0] - high) // 3, (pixels.shape[1] - wide) // 2
    for left, image in ((x, pixels), (x + width + 44, story.filtered.embossed)):
        page.grey(left, top, width, THUMB, image[i : i + high, j : j + wide])
    page.arrow(x + width + 8, top + THUMB / 2, 28)
    return top + THUMB


def _kernels(page: Page, x: float, top: float, learned: photo.LearnedBack) -> None:
    """The kernel that was applied and the two that were found."""
    stage, apart = learned.stages[-2], 22  # on its way; the last one has all but arrived
    rows, columns = learned.true.shape
    cell = (THIRD - 2 * apart) / (3 * columns)
    limit = float(np.abs(learned.true).max())
    for number, (title, kernel, form, note) in enumerate(
        (
            ("applied", learned.true, ".0f", photo.KERNEL_NAME),
            (f"{stage.steps:,} steps", stage.kernel, ".2f", f"off by {stage.error:.2g}"),
            ("closed form", learned.solved.kernel, ".2f", f"off by {learned.solved.error:.0e}"),
        )
    ):
        left = x + number * (columns * cell + apart)
        page.text(left, top, title, 14)
        page.cells(left, top + 10, kernel, cell, form=form, colours=SIGNED, limit=limit)
        page.text(left, top + 10 + rows * cell + 18, note, 13, color=QUIET)


def _foot(page: Page, story: Story) -> None:
    size = story.photograph.pixels.size
    seconds = story.filtered.seconds
    words = (
        f"Applying the kernel {photo.KERNEL_NAME!r} to the whole photograph took {seconds * 1e3:.2g} ms, "
        f"{size / seconds / 1e6:,.0f} million pixels a second. kernelwise {kw.__version__}"
    )
    page.text(MARGIN, page.height - 36, words, 14, color=QUIET)
