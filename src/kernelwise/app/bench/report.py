"""The table as plain text, row by row as they come, then the summary; and as Markdown from the JSON."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .measure import SLOWER

Report = Mapping[str, Any]  # what `kernelwise bench --json` writes

COLUMNS = (
    ("image", 12, "<"),
    ("types", 10, "<"),
    ("what", 27, "<"),
    ("thr", 3, ">"),
    ("ours", 9, ">"),
    ("best rival", 28, "<"),
    ("rival", 9, ">"),
    ("ratio", 7, ">"),
    ("2T/1T", 6, ">"),
    ("copy", 5, ">"),
    ("FMA", 5, ">"),
    ("error", 15, "<"),
)
SECTIONS = {  # of a result, and how its geometric mean is called
    "images": "all images",
    "calls": "small calls",
    "large": "large kernels",
    "gradients": "fused gradients",
    "canny": "canny as OpenCV",
    "canny smoothed": "canny smoothed",
    "ndimage": "ndimage door",
    "layers": "layers",
    "layers trained": "layers trained",
    "layers weights": "weight gradients",
    "networks": "networks",
    "fit sums": "sums of fits",
    "fit calls": "whole fits",
    "mxnet": "trained by MXNet's names",
}
LEGEND = (
    "Times per call; ratio = median of the best rival / median of ours, '<' where we are slower; "
    "copy = share of np.copyto's\nbandwidth on one thread; FMA = share of the multiply-add peak, operations as the "
    "definition has them ('-': integers);\nerror = our largest difference from float64 in units of the largest value, "
    'and that of precision="exact".'
)


def header() -> str:
    """The column titles and a rule below them."""
    titles = _line(title for title, _, _ in COLUMNS)
    return f"{titles}\n{'-' * len(titles)}"


def text_row(row: Report) -> str:
    """One result as a line of the table; a row that failed says why."""
    start = (row["image"], row["types"], row["kernel"], str(row["threads"]))
    if row["status"] != "ok":
        return _line((*start, "FAIL")) + f"  {row['why']}"
    cells = (
        *start,
        duration(row["medians"]["kernelwise"]),
        best_rival(row),
        duration(row["best_seconds"]) if row["best"] else "",
        marked_ratio(row["ratio"]),
        _number(row["gain"]),
        percent(row["copy_share"]),
        "-" if row["integers"] else percent(row["fma_share"]),
    )
    if row["section"].startswith(("layers", "networks")):
        return _line((*cells[:9], "", cells[10], _error(row)))
    shown = {"images": len(cells), "large": len(cells), "calls": 8}.get(row["section"], 9)
    return _line(cells[:shown])


def summary(report: Report) -> list[str]:
    """Geometric means over all and per group, the lowest row, the rows lost, what was left out or is not installed."""
    rows = report["rows"]
    lines = [LEGEND, ""] if rows else []
    timed = [r for r in rows if r["ratio"] is not None]
    if timed:
        everything = geometric_mean([r["ratio"] for r in timed])
        lines.append(f"geometric mean of the ratios over all {len(timed)} rows: {everything:.2f}; by group (rows):")
        counts, table = _mean_table(rows)
        lines.append(" " * 18 + "".join(f"{_threads(t):>14}" for t in counts))
        lines += [f"  {name:<16}" + "".join(f"{cell:>14}" for cell in cells) for name, cells in table]
        for section in SECTIONS:
            rated = [r for r in timed if r["section"] == section]
            if rated:
                low = min(rated, key=lambda r: r["ratio"])
                which = f"lowest row: {_title(low)}: {low['ratio']:.2f} ({best_rival(low)})"
                lines.append(f"{SECTIONS[section]}, {which}")
        lost = [r for r in timed if r["ratio"] < 1]
        lines.append(f"slower than the best rival in {len(lost)} of {len(timed)} rows")
        lines += [f"  {_title(r)}: {r['ratio']:.2f} ({best_rival(r)})" for r in sorted(lost, key=lambda r: r["ratio"])]
    failed = [r for r in rows if r["status"] != "ok"]
    lines += [f"FAILED {_title(r)}: {r['why']}" for r in failed]
    raised = sorted({f"{n}: {w}" for r in rows for n, w in r["left_out"].items() if not w.endswith(SLOWER)})
    lines += [f"left out, {reason}" for reason in raised]
    slow = sum(w.endswith(SLOWER) for r in rows for w in r["left_out"].values())
    if slow:
        times = f"{report['hopeless']:.0f} {SLOWER}"
        lines.append(f"left out after a trial call of more than {times}: {slow} contenders (the JSON names them)")
    shares = [r["occupancy"] for r in rows if r["occupancy"] is not None]
    if shares:
        low_share = sorted(shares)[len(shares) // 10]
        note = "" if low_share > 0.95 else "; OTHER WORK DISTURBED THIS RUN: rows with more than one thread say little"
        lines.append(
            f"core was ours: median {sorted(shares)[len(shares) // 2]:.2f}, lowest tenth {low_share:.2f}{note}"
        )
    return [*lines, machine_line(report["machine"], report["fma_peak"])]


def process_lines(report: Report) -> list[str]:
    """The whole-process figures: medians with the lowest and the highest value."""
    lines = []
    for what, found in report["processes"].items():
        if "error" in found:
            lines.append(f"{what}: not measured: {found['error']}")
            continue
        for line in found["lines"]:
            low, high = min(line["values"]), max(line["values"])
            runs = f"{low:.3g}..{high:.3g}, {len(line['values'])} processes"
            lines.append(f"  {what:<11}{line['name']:<44}{line['median']:9.3g} {found['unit']}  ({runs})")
        lines += [f"  {what:<11}{name} not installed" for name in found["not installed"]]
    return lines


def machine_line(machine: Mapping[str, str], fma_peak: float) -> str:
    """CPU, target, versions and date in one line."""
    peak = f"FMA peak {fma_peak / 1e9:.0f} GFLOP/s a core"
    fixed = ("cpu", "cores", "target", "date")
    versions = ", ".join(f"{k} {v}" for k, v in machine.items() if k not in (*fixed, "system"))
    return (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['system']}, target {machine['target']}, {peak}; "
        f"{versions}; {machine['date']}"
    )


def means(rows: Sequence[Report]) -> dict[str, dict[int, tuple[float, int]]]:
    """Group -> thread count -> (geometric mean of the ratios, rows): images, small calls, types, image, kernel."""
    groups: dict[str, dict[int, list[float]]] = {}
    for part in ("section", "types", "image", "kernel"):
        for row in rows:
            if row["ratio"] is not None and (part == "section" or row["section"] == "images"):
                name = SECTIONS.get(row[part]) or str(row[part])
                groups.setdefault(name, {}).setdefault(row["threads"], []).append(row["ratio"])
    return {g: {t: (geometric_mean(r), len(r)) for t, r in found.items()} for g, found in groups.items()}


def _mean_table(rows: Sequence[Report]) -> tuple[list[int], list[tuple[str, list[str]]]]:
    """The thread counts, and for each group its name and a cell "mean (rows)" per thread count."""
    groups = means(rows)
    counts = sorted({threads for found in groups.values() for threads in found})
    cells = {g: [f"{f[t][0]:.2f} ({f[t][1]})" if t in f else "" for t in counts] for g, f in groups.items()}
    return counts, list(cells.items())


def geometric_mean(values: Sequence[float]) -> float:
    return math.exp(sum(map(math.log, values)) / len(values))


def markdown(report: Report) -> str:
    """The tables of the README: a line per row with all its thread counts, the means, the processes, the machine."""
    rows = report["rows"]
    lines: list[str] = []
    for section in SECTIONS:
        found = [r for r in rows if r["section"] == section]
        if found and section != "calls":
            lines += ["", *_markdown_rows(found, sorted({r["threads"] for r in found}))]
    lines = lines[1:]
    calls = [r for r in rows if r["section"] == "calls"]
    if calls:
        lines += ["", "| small call | kernelwise | best rival | ratio |", "|---|---:|---|---:|"]
        lines += [f"| {r['image']} {r['kernel']} | {_markdown_cells(r)} |" for r in calls]
    counts, table = _mean_table(rows)
    if table:
        lines += ["", "| geometric mean of the ratios (rows) |" + "".join(f" {_threads(t)} |" for t in counts)]
        lines += ["|---|" + "---:|" * len(counts)]
        lines += [f"| {name.replace('->', ' to ')} | {' | '.join(cells)} |" for name, cells in table]
    measured = [(what, process) for what, process in report["processes"].items() if "error" not in process]
    if measured:
        lines += ["", "| whole processes | median |", "|---|---:|"]
        lines += [f"| {w}: {n['name']} | {n['median']:.3g} {f['unit']} |" for w, f in measured for n in f["lines"]]
    return "\n".join([*lines, "", machine_line(report["machine"], report["fma_peak"])]) + "\n"


def _markdown_rows(rows: Sequence[Report], counts: Sequence[int]) -> list[str]:
    """The rows of one section as a table."""
    titles = "".join(f" {_threads(t)} | best rival | ratio |" for t in counts)
    what = "kernel" if rows[0]["section"] in ("images", "large") else SECTIONS[rows[0]["section"]]
    lines = [f"| image | types | {what} |{titles}", "|---|---|---|" + "---:|---|---:|" * len(counts)]
    errors = any(row.get("errors") for row in rows)
    if errors:
        lines = [lines[0] + " error, exact |", lines[1] + "---:|"]
    by_name: dict[str, dict[int, Report]] = {}
    for row in rows:
        by_name.setdefault(row["name"], {})[row["threads"]] = row
    for found in by_name.values():
        row = next(iter(found.values()))
        cells = " | ".join(_markdown_cells(found[t]) if t in found else " | | " for t in counts)
        cells += f" | {_error(row)}" if errors else ""
        lines.append(f"| {row['image']} | {row['types'].replace('->', ' to ')} | {row['kernel']} | {cells} |")
    return lines


def _markdown_cells(row: Report) -> str:
    if row["status"] != "ok":
        return "FAIL | |"
    ours = duration(row["medians"]["kernelwise"])
    if row["best"] is None:
        return f"{ours} | {best_rival(row)} | "
    return f"{ours} | {best_rival(row)} {duration(row['best_seconds'])} | {row['ratio']:.2f}"


def best_rival(row: Report) -> str:
    """Its name, with the number of threads where that is not the row's."""
    if row["best"] is None:
        return "none installed"
    same = row["best_threads"] == row["threads"]
    return row["best"] if same else f"{row['best']}, {row['best_threads']}T"


def duration(seconds: float) -> str:
    """Three digits with the unit that fits: "0.214 us", "35.1 us", "4.20 ms", "1.31 s"."""
    for unit, scale in (("us", 1e6), ("ms", 1e3), ("s", 1.0)):
        value = float(f"{seconds * scale:.3g}")
        if value < 1000 or unit == "s":
            digits = 2 - math.floor(math.log10(value)) if value > 0 else 2
            return f"{value:.{min(max(digits, 0), 3)}f} {unit}"
    raise AssertionError("unreachable")


def marked_ratio(ratio: float | None) -> str:
    if ratio is None:
        return "n/a"
    return f"{ratio:.2f}" + ("<" if ratio < 1 else " ")


def percent(share: float | None) -> str:
    return "n/a" if share is None else f"{share * 100:.0f}%"


def _error(row: Report) -> str:
    """Ours, in units of the largest value; that of "exact" beside it where that is another algorithm."""
    return " ".join(f"{row['errors'][n]:.1e}" for n in ("kernelwise", "kernelwise exact") if n in row["errors"])


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _title(row: Report) -> str:
    return f"{row['name']}, {_threads(row['threads'])}"


def _threads(count: int) -> str:
    return "1 thread" if count == 1 else f"{count} threads"


def _line(cells: Iterable[str]) -> str:
    return " ".join(f"{c:{align}{width}}" for c, (_, width, align) in zip(cells, COLUMNS, strict=False)).rstrip()
