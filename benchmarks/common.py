"""What the scripts share: children of this very script, medians, one JSON object on standard output."""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib import util


def child(script: str, *arguments: str) -> float:
    """Run `script` in a fresh interpreter; the number on the last line that it prints."""
    run = subprocess.run([sys.executable, script, "--child", *arguments], capture_output=True, text=True, check=False)
    if run.returncode:
        sys.exit(f"{' '.join(arguments)}: {run.stderr.strip()}")
    return float(run.stdout.split()[-1])


def is_installed(module: str) -> bool:
    return util.find_spec(module.split()[0].partition(".")[0]) is not None


def report(unit: str, values: dict[str, list[float]], left_out: Sequence[str] = ()) -> None:
    """Print the object that `kernelwise bench` reads."""
    lines = [{"name": name, "values": v, "median": statistics.median(v)} for name, v in values.items()]
    print(json.dumps({"unit": unit, "lines": lines, "not installed": list(left_out)}))


def run(child_main: Callable[..., float], main: Callable[[int, str], None], side: int) -> None:
    """`--child A B` prints child_main("A", "B"); `--repeats N --side S` calls main(N, "S")."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=7, help="processes per figure")
    parser.add_argument("--side", default=str(side), help="pixels along each side of the image, where there is one")
    parser.add_argument("--child", nargs="*")
    options = parser.parse_args()
    if options.child is not None:
        print(child_main(*options.child))
    else:
        main(options.repeats, options.side)
