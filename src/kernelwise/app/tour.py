"""The tour: four steps told in the terminal, the same on a photograph, every claim checked, and a picture of it all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from ..errors import FileError
from . import outlines, photo, picture, steps
from .claims import Claim

PICTURE = "tour.png"
INDENT = (0, 0, 0, 3)
WINDOW = "bold cyan"


class Teller:
    """Prints the story, and keeps count of the claims that do not hold."""

    def __init__(self) -> None:
        self.console = Console(highlight=False)
        self.failed = 0

    def heading(self, title: str, text: str) -> None:
        """A line across with the title, and the sentence below it."""
        self.console.print()
        self.console.print(Rule(Text(title, style="bold"), align="left", style="dim"))
        self.show(Text(text))

    def show(self, *parts: RenderableType) -> None:
        """Parts below each other, indented, with a free line before."""
        self.console.print()
        self.console.print(Padding(Group(*parts), INDENT, expand=False))

    def check(self, made: Iterable[Claim]) -> None:
        """A line for every claim: held, or not and why."""
        self.console.print()
        unicode = self.console.encoding.startswith("utf")
        lines = Table.grid(padding=(0, 1, 0, 0))
        for claim in made:
            if claim.holds:
                lines.add_row(Text("✓" if unicode else "yes", style="green"), Text(claim.text))
            else:
                self.failed += 1
                text = Text.assemble(claim.text, (f" (found: {claim.found})", "red"))
                lines.add_row(Text("✗" if unicode else "NO", style="bold red"), text)
        self.console.print(Padding(lines, INDENT, expand=False))


def take(path: Path | None, folder: Path, *, max_pixels: int) -> bool:
    """Tell the tour with the photograph at `path` (None: one that comes along) and write tour.png into `folder`.

    True when every claim held; otherwise no picture is written. Raises FileError for a photograph that cannot be read,
    a folder that is not there, or a picture that cannot be written.
    """
    if not folder.is_dir():
        raise FileError(f"{folder}: there is no such folder")
    photograph = photo.load(path, max_pixels)
    teller = Teller()
    operator, layer, edges, learning = steps.operator(), steps.layer(), steps.edges(), steps.learning()
    tell_operator(teller, operator)
    tell_layer(teller, layer)
    tell_edges(teller, edges)
    tell_learning(teller, learning)
    filtered = photo.filtered(photograph)
    tell_filtered(teller, photograph, filtered)
    drawn = outlines.outlines(photograph)
    tell_outlines(teller, photograph, drawn)
    learned = photo.learned_back(photograph)
    tell_learned_back(teller, learned)
    if teller.failed:
        return False
    target = folder / PICTURE
    picture.write(target, picture.Story(operator, layer, edges, learning, photograph, filtered, drawn, learned))
    teller.heading("The picture", f"All of this on one page: {target}")
    teller.console.print()
    return True


def numbers(values: np.ndarray, form: str = "g", marked: Sequence[tuple[int, int]] = ()) -> Text:
    """A small 2-D array in columns, with the positions in `marked` set off."""
    words = [[format(value, form) for value in row] for row in values.tolist()]
    width = max(len(word) for row in words for word in row)
    text = Text()
    for i, row in enumerate(words):
        if i:
            text.append("\n")
        for j, word in enumerate(row):
            text.append(f"{'  ' if j else ''}")
            text.append(word.rjust(width), WINDOW if (i, j) in marked else "")
    return text


def side_by_side(*columns: tuple[str, RenderableType]) -> Table:
    """Titled parts next to each other."""
    grid = Table.grid(padding=(0, 5, 0, 0))
    for _ in columns:
        grid.add_column(vertical="top")
    grid.add_row(*(Text(title, style="dim") for title, _ in columns))
    grid.add_row(*(part for _, part in columns))
    return grid


def tell_operator(teller: Teller, step: steps.Operator) -> None:
    """Step 1."""
    window = [(i, j) for i in range(2) for j in range(2)]
    terms = " + ".join(f"{x} x {k}" for x, k in zip(step.image[:2, :2].flat, step.kernel.flat, strict=True))
    teller.heading(
        "1  The operator",
        "Lay the kernel on the image, multiply what lies on top of each other, add it up. Move on by one, again.",
    )
    teller.show(
        side_by_side(
            ("image", numbers(step.image, "d", window)),
            ("kernel", numbers(step.kernel, "d", window)),
            ("corr2d(image, kernel)", numbers(step.output, "d", [(0, 0)])),
        ),
        Text(f"\n{terms} = {step.output[0, 0]}"),
    )
    teller.check(step.claims)


def tell_layer(teller: Teller, step: steps.Layer) -> None:
    """Step 2."""
    teller.heading(
        "2  The layer",
        "A layer holds a kernel, its weight, and a bias that is added to every output. It takes a batch of images.",
    )
    teller.show(
        side_by_side(
            ("images (n, c, h, w)", Text(str(step.images.shape))),
            ("weight", numbers(step.weight[0, 0], "+.4f")),
            ("bias", Text(format(step.bias[0], "+.4f"))),
            ("layer(images)", Text(str(step.output.shape))),
        )
    )
    teller.check(step.claims)


def tell_edges(teller: Teller, step: steps.Edges) -> None:
    """Step 3."""
    teller.heading(
        "3  Edges", "The kernel [1, -1] compares neighbours: it gives 0 where they are alike, and not at an edge."
    )
    crossing = [(i, j) for i, j in np.argwhere(step.edges != 0).tolist()]
    teller.show(
        side_by_side(
            ("image, white 1 and black 0", numbers(step.stripes)),
            ("kernel", numbers(step.kernel)),
            ("corr2d(image, kernel)", numbers(step.edges, "g", crossing)),
        )
    )
    teller.check(step.claims)


def tell_learning(teller: Teller, step: steps.Learning) -> None:
    """Step 4."""
    teller.heading(
        "4  A kernel learned from examples",
        "Forget the kernel and keep only the image and its edges. Start from small random taps; "
        f"{len(step.losses)} times, move them against the gradient of the squared error times {steps.LEARNING_RATE:g}.",
    )
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_row("step", *(str(i + 1) for i in range(len(step.losses))), style="dim")
    table.add_row("loss", *(f"{loss:.3f}" for loss in step.losses))
    teller.show(
        table,
        Text(""),
        side_by_side(
            ("start", numbers(step.start, "+.4f")),
            ("learned", numbers(step.kernel, "+.4f")),
            ("the kernel that made the edges", numbers(steps.EDGE, "+.0f")),
        ),
    )
    teller.check(step.claims)


def tell_filtered(teller: Teller, photograph: photo.Photograph, found: photo.Filtered) -> None:
    """The operator, on the photograph."""
    height, width = photograph.pixels.shape
    notes = "".join(f", {note}" for note in photograph.notes)
    teller.heading(
        f"On a photograph: {photograph.name}",
        f"{height} x {width} pixels{notes}, taken as grey from 0 to 1. "
        f"The kernel {photo.KERNEL_NAME!r} is applied to it.",
    )
    speed = photograph.pixels.size / found.seconds / 1e6
    teller.show(
        Text(f"one call takes {found.seconds * 1e3:.3g} ms, {speed:,.0f} million pixels a second; its plan:\n"),
        Padding(Text(str(found.plan), style="dim"), INDENT),
    )
    teller.check(found.claims)


def tell_outlines(teller: Teller, photograph: photo.Photograph, drawn: outlines.Outlines) -> None:
    """The edges, on the photograph."""
    teller.heading(
        "All of its edges",
        "Where [1, -1] sees the upright edges only, Canny's rules find those of every direction: smooth, take the "
        "slope, keep its ridges, and of them what hangs together with a steep place. Then each is found finer than a "
        "pixel.",
    )
    speed = photograph.pixels.size / drawn.seconds / 1e6
    teller.show(
        Text(f"one call of canny takes {drawn.seconds * 1e3:.3g} ms, {speed:,.0f} million pixels a second"),
        Text(
            f"{np.count_nonzero(drawn.map):,} edge pixels, {drawn.points:,} points between pixels, "
            f"{len(drawn.chains):,} chains of {outlines.LEAST_POINTS} pixels and more"
        ),
        Text(f"points on a circle of radius {outlines.RADIUS} are {drawn.circle.error:.3f} pixels off"),
    )
    teller.check((*drawn.claims, *drawn.circle.claims))


def tell_learned_back(teller: Teller, learned: photo.LearnedBack) -> None:
    """The learning, on the photograph."""
    height, width = learned.pixels
    teller.heading(
        "The kernel, learned back",
        f"From {height} x {width} pixels before and after: by descent, with the rate {learned.learning_rate:.3g} that "
        f"the photograph itself sets; and in closed form, which is where descent is heading, in "
        f"{learned.seconds * 1e3:.3g} ms, with an error bar for every tap.",
    )
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("tap", style="dim")
    titles = [f"{stage.steps:,}" for stage in learned.stages]
    for title in (f"{titles[0]} steps", *titles[1:], "closed form", "applied"):
        table.add_column(title, justify="right", no_wrap=True)
    every = (*learned.stages, learned.solved)
    for position in np.ndindex(learned.true.shape):
        taps = (stage.kernel[position] for stage in every)
        shown = (f"{round(float(tap), 4) + 0.0:+.4f}" for tap in (*taps, learned.true[position]))  # + 0.0: no -0
        table.add_row(f"{position[0]}, {position[1]}", *shown)
    table.add_section()
    table.add_row("off by", *(f"{stage.error:.2g}" for stage in every))
    table.add_row("residual", *(f"{stage.loss:.2g}" for stage in every))
    teller.show(table)
    teller.check(learned.claims)
