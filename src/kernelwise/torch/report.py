"""What was done to a network and what it gained, as a table."""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """One layer."""

    layer: str
    steps: str  # that are one now
    by: str  # "kernelwise", or "torch: " and why
    before: float | None = None  # seconds, of torch's own steps one after the other
    after: float | None = None  # seconds, of what took their place


class Report(NamedTuple):
    """What `accelerate` did; `print` shows it as a table."""

    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    before: float | None = None  # seconds, of the whole network
    after: float | None = None

    def __str__(self) -> str:
        head = ("layer", "steps", "by", "torch ms", "now ms", "times")
        lines = [head, *(_cells(row) for row in self.rows)]
        if self.before is not None and self.after is not None:
            lines.append(_cells(Row("all", "", "", self.before, self.after)))
        columns = 6 if any(line[3] for line in lines[1:]) else 3
        widths = [max(len(line[column]) for line in lines) for column in range(columns)]
        table = [_line(line[:columns], widths) for line in lines] if self.rows else ["no convolutions"]
        return "\n".join([*table, *self.notes])


def _cells(row: Row) -> tuple[str, ...]:
    if row.before is None or row.after is None:
        return row.layer, row.steps, row.by, "", "", ""
    figures = f"{row.before * 1e3:.3f}", f"{row.after * 1e3:.3f}", f"{row.before / row.after:.2f}"
    return (row.layer, row.steps, row.by, *figures)


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    left = [True, True, True, False, False, False]
    columns = zip(cells, widths, left[: len(cells)], strict=True)
    parts = [cell.ljust(width) if to_left else cell.rjust(width) for cell, width, to_left in columns]
    return "  ".join(parts).rstrip()
