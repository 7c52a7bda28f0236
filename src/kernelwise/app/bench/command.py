"""The command line of the benchmark, with argparse: it works without the `app` extra."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ...atomic import replacing
from . import (
    calls,
    canny,
    cases,
    comparison,
    door,
    fits,
    gradients,
    layers,
    machine,
    measure,
    mxnet_training,
    networks,
    processes,
    report,
    rivals,
)
from .timing import Pace

QUICK = Pace(least=5, most=15, budget=0.6, hopeless=5.0)
FULL = Pace(least=5, most=15, budget=2.0, hopeless=20.0)
CALLS = Pace(least=7, most=15, budget=0.3)
FORMAT = 1  # of the JSON
GROUPS = (
    "filters", "calls", "large", "gradients", "canny", "ndimage", "layers", "networks", "fit", "mxnet", "processes",
)  # fmt: skip

Job = Callable[[Pace, float], list[measure.Result]]  # given the multiply-add peak


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark, or turn its JSON into Markdown; 0 done, 1 a row failed, 2 wrong usage."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.markdown:
        try:
            print(report.markdown(json.loads(Path(options.markdown).read_text(encoding="utf-8"))), end="")
        except (OSError, ValueError, KeyError) as error:
            parser.error(f"`--markdown` must name a file that `--json` wrote (got {options.markdown!r}: {error!r})")
        return 0
    if options.json and not Path(options.json).absolute().parent.is_dir():
        parser.error(f"`--json` must name a file in a folder that exists (got {options.json!r})")
    jobs = _jobs(options)
    scripts = [what for what in processes.SCRIPTS if _chosen("processes", f"process {what}", options.only)]
    if left_out := mxnet_training.missing() if _chosen("mxnet", mxnet_training.NAME, options.only) else "":
        print(left_out, file=sys.stderr)
    if not jobs and not scripts:
        if left_out:
            return 2
        print(f"{options.only!r} names no group, and no row has every word of it in its name", file=sys.stderr)
        return 2
    found = run(jobs, scripts, FULL if options.full else QUICK, repeats=9 if options.full else 5)
    if options.json:
        with replacing(options.json) as stream:
            stream.write((json.dumps(found, indent=1) + "\n").encode())
        print(f"every figure: {options.json}")
    if options.markdown is not None:
        print(report.markdown(found), end="")
    return 1 if any(row["status"] != "ok" for row in found["rows"]) else 0


def run(jobs: Sequence[Job], scripts: Sequence[str], pace: Pace, repeats: int) -> dict[str, Any]:
    """Measure and print, row by row; returns what `--json` writes."""
    start = time.perf_counter()
    peak = machine.fma_peak()
    found: dict[str, Any] = {"format": FORMAT, "machine": machine.describe(), "fma_peak": peak}
    found |= {"hopeless": pace.hopeless, "rows": []}
    missing = [name for name, version in found["machine"].items() if version == rivals.NOT_INSTALLED]
    if canny.missing():
        print(f"photographs that are not installed, and so left out: {', '.join(canny.missing())}")
    if missing:
        print(f"not installed, and so left out: {', '.join(missing)}")
    if jobs:
        print(report.header(), flush=True)
    for job in jobs:
        for result in job(pace, peak):
            found["rows"].append(result.as_dict())
            print(report.text_row(found["rows"][-1]), flush=True)
    found["processes"] = {}
    for what in scripts:
        found["processes"][what] = processes.measure(what, repeats)
    found["seconds"] = time.perf_counter() - start
    print("", *report.process_lines(found), "", *report.summary(found), sep="\n", flush=True)
    return found


def _jobs(options: argparse.Namespace) -> list[Job]:
    """The rows that were asked for, group by group, each as a function to call."""
    full = options.full

    def kernel(row: cases.Row) -> Job:
        return lambda pace, peak: measure.measure(row, options.threads, pace, peak)

    def call(row: cases.Row, way: str) -> Job:
        return lambda pace, peak: [calls.measure_call(row, way, CALLS)]

    def compared(row: comparison.Comparison) -> Job:
        return lambda pace, peak: comparison.measure(row, options.threads, pace, peak)

    def trained(pace: Pace, peak: float) -> list[measure.Result]:
        return mxnet_training.measure(options.threads, pace)

    found: list[tuple[str, str, Job]] = []  # group, name, job
    found += [("filters", row.name, kernel(row)) for row in (cases.full() if full else cases.quick())]
    ways = [(row, way) for row in calls.rows() for way in calls.OURS]
    found += [("calls", calls.result_of(row, way).name, call(row, way)) for row, way in ways]
    found += [("large", row.name, kernel(row)) for row in (cases.large() if full else cases.quick_large())]
    for rows in (group.rows if full else group.quick for group in (gradients, canny, door, layers, networks, fits)):
        found += [(row.section.split()[0], row.name, compared(row)) for row in rows()]
    if not mxnet_training.missing():
        found.append(("mxnet", mxnet_training.NAME, trained))
    return [job for group, name, job in found if _chosen(group, name, options.only)]


def _chosen(group: str, name: str, only: str | None) -> bool:
    """Whether ``only`` lists the group, or every word of it is a word, or a part of one, in the name."""
    if only is None:
        return True
    listed = [part.strip() for part in only.split(",")]
    if set(listed) <= set(GROUPS):
        return group in listed
    return all(word in name for word in only.split())


def _thread_counts(text: str) -> list[int]:
    counts = sorted(int(part) for part in text.split(","))
    if not counts or min(counts) < 1 or len(set(counts)) < len(counts):
        raise ValueError(text)
    return counts


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kernelwise bench",
        description="Speed beside OpenCV, SciPy, scikit-image, PyTorch and NumPy, as ratios measured in one run.",
    )
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="a subset in four to seven minutes (the default)")
    size.add_argument("--full", action="store_true", help="every kernel, type and size: over an hour")
    both = "1,2" if machine.available_cores() > 1 else "1"
    parser.add_argument(
        "--threads", type=_thread_counts, default=_thread_counts(both), help=f"thread counts (default {both})"
    )
    parser.add_argument(
        "--only",
        metavar="TEXT",
        help=f"groups with commas between ({', '.join(GROUPS)}), or words: the rows with all of them in their name",
    )
    parser.add_argument("--json", metavar="FILE", help="write every median and every round there")
    parser.add_argument(
        "--markdown",
        metavar="FILE",
        nargs="?",
        const="",
        help="print a Markdown table, of FILE if one is named (then nothing is measured), else of this run",
    )
    return parser
