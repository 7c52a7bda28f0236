"""The tour on one page: four steps in a row, and below them a photograph, its edges, and a kernel learned back."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np

import kernelwise as kw

from ..errors import ImageError
from . import photo, steps
from .atomic import replacing
from .drawing import BLUE, PENCIL, QUIET, SIGNED, Page, own_style, shrunk

WIDTH, MARGIN, GAP = 1600, 56, 40
CARD = (WIDTH - 2 * MARGIN - 3 * GAP) / 4
STEPS_TOP, PHOTO_TOP = 172, 580
PHOTO_WIDTH, PHOTO_HEIGHTS = 490, (440, 640)  # the height follows the photograph between these
SIDE = WIDTH - 2 * MARGIN - 2 * (PHOTO_WIDTH + GAP)  # width of the column beside the photographs
BOTTOM = 92
THUMB = 112  # height of the small pictures before and after
LIGHTEST, DARKEST = 0.6, 0.995  # of all slopes so many are left white, and so many lighter than the darkest
SOFTER = 0.7  # the power that lifts faint lines


@dataclass(frozen=True)
class Story:
    """Everything that the page shows."""

    operator: steps.Operator
    layer: steps.Layer
    edges: steps.Edges
    learning: steps.Learning
    photograph: photo.Photograph
    filtered: photo.Filtered
    learned: photo.LearnedBack


def photo_height(shape: tuple[int, ...]) -> int:
    """Pixels of height for a photograph of that shape: its own proportions, within limits.

    >>> photo_height((600, 512)), photo_height((1000, 3000))
    (574, 440)
    """
    low, high = PHOTO_HEIGHTS
    return int(min(high, max(low, round(PHOTO_WIDTH * shape[0] / shape[1]))))


def page_height(shape: tuple[int, ...]) -> int:
    """Pixels of height of the whole page, which is WIDTH wide."""
    return PHOTO_TOP + 70 + photo_height(shape) + BOTTOM


def write(path: str | os.PathLike[str], story: Story) -> None:
    """Draw the page and write it as a PNG of WIDTH x page_height pixels. ImageError when it cannot be written."""
    with own_style():
        page = Page(WIDTH, page_height(story.photograph.pixels.shape))
        _title(page)
        for number, draw in enumerate((_operator, _layer, _edges, _learning)):
            draw(page, MARGIN + number * (CARD + GAP), STEPS_TOP, story)
        _photograph(page, story)
        _learned_back(page, MARGIN + 2 * (PHOTO_WIDTH + GAP), story)
        _foot(page, story)
        try:
            with replacing(path) as stream:
                page.save(stream)
        except ImageError:
            raise
        except OSError as error:
            raise ImageError(f"{os.fspath(path)}: cannot be written: {error.strerror or error}") from error


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
    pixels, edges = story.photograph.pixels, shrunk(story.filtered.edges, PHOTO_WIDTH)
    height, width = pixels.shape
    box = photo_height(pixels.shape)
    paper, darkest = np.quantile(edges, (LIGHTEST, DARKEST))
    drawn = np.clip((edges - paper) / ((darkest - paper) or 1.0), 0, 1) ** SOFTER
    for number, (title, caption, image, colours) in enumerate(
        (
            ("On a photograph", f"{_short(story.photograph.name)}, {width} x {height} pixels", pixels, "gray"),
            ("Its edges", "the slope of the brightness, from two kernels", drawn, PENCIL),
        )
    ):
        x = MARGIN + number * (PHOTO_WIDTH + GAP)
        _heading(page, x, PHOTO_TOP, PHOTO_WIDTH, title, caption)
        page.grey(x, PHOTO_TOP + 48, PHOTO_WIDTH, box, image, colours)


def _short(name: str, most: int = 36) -> str:
    """A long name with its middle left out.

    >>> _short("holiday-photograph.jpg", most=12)
    'holid…ph.jpg'
    """
    if len(name) <= most:
        return name
    return f"{name[: most // 2 - 1]}…{name[most // 2 - most :]}"


def _learned_back(page: Page, x: float, story: Story) -> None:
    learned = story.learned
    rows, columns = learned.pixels
    caption = f"from {columns} x {rows} pixels before and after"
    _heading(page, x, PHOTO_TOP, SIDE, "A kernel learned back", caption)
    bottom = PHOTO_TOP + 48 + photo_height(story.photograph.pixels.shape)
    top = _before_and_after(page, x, PHOTO_TOP + 48, story)
    top = _kernels(page, x, top + 36, learned)
    page.text(x, top + 40, "loss of the descent, step by step", 14)
    axes = page.curve(x, top + 56, SIDE, bottom - top - 56, learned.losses, log_steps=True)
    at = [stage.steps for stage in learned.stages]
    axes.plot(at, learned.losses[np.array(at) - 1], "o", color=BLUE, ms=6, clip_on=False)


def _before_and_after(page: Page, x: float, top: float, story: Story) -> float:
    """Two small pictures; the lower end of what was drawn."""
    width = (SIDE - 44) / 2
    pixels = story.photograph.pixels
    wide = max(1, min(pixels.shape[1], round(pixels.shape[0] * width / THUMB)))
    high = max(1, min(pixels.shape[0], round(wide * THUMB / width)))
    i, j = (pixels.shape[0] - high) // 3, (pixels.shape[1] - wide) // 2
    for left, image in ((x, pixels), (x + width + 44, story.filtered.embossed)):
        page.grey(left, top, width, THUMB, image[i : i + high, j : j + wide])
    page.arrow(x + width + 8, top + THUMB / 2, 28)
    return top + THUMB


def _kernels(page: Page, x: float, top: float, learned: photo.LearnedBack) -> float:
    """The kernel that was applied and the two that were found; the lower end of what was drawn."""
    stage, apart = learned.stages[-2], 22  # on its way; the last one has all but arrived
    rows, columns = learned.true.shape
    cell = (SIDE - 2 * apart) / (3 * columns)
    limit = float(np.abs(learned.true).max())
    for number, (title, kernel, form, note) in enumerate(
        (
            ("applied", learned.true, ".0f", photo.KERNEL_NAME),
            (f"{stage.steps:,} steps", stage.kernel, ".2f", f"off by {stage.error:.2g}"),
            ("least squares", learned.solved.kernel, ".2f", f"off by {learned.solved.error:.0e}"),
        )
    ):
        left = x + number * (columns * cell + apart)
        page.text(left, top, title, 14)
        page.cells(left, top + 10, kernel, cell, form=form, colours=SIGNED, limit=limit)
        page.text(left, top + 10 + rows * cell + 18, note, 13, color=QUIET)
    return top + 10 + rows * cell + 18


def _foot(page: Page, story: Story) -> None:
    size = story.photograph.pixels.size
    seconds = story.filtered.seconds
    words = (
        f"Applying the kernel {photo.KERNEL_NAME!r} to the whole photograph took {seconds * 1e3:.2g} ms, "
        f"{size / seconds / 1e6:,.0f} million pixels a second. kernelwise {kw.__version__}"
    )
    page.text(MARGIN, page.height - 36, words, 14, color=QUIET)
