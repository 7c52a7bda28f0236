"""What only whole processes show: the time of an import, of the first call in a second process, and peak memory.

The scripts lie in benchmarks/ of the source tree; each prints one JSON object. Without a source tree (installed from
a wheel) these rows are left out, and that is said.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import kernelwise

SCRIPTS = {"import": "import_time.py", "first call": "first_call.py", "memory": "peak_memory.py"}


def folder() -> Path | None:
    """benchmarks/ beside the src/ that kernelwise was imported from, if there is one."""
    found = Path(kernelwise.__file__).resolve().parents[2] / "benchmarks"
    return found if (found / SCRIPTS["import"]).is_file() else None


def measure(what: str, repeats: int, side: int | None = None) -> dict[str, Any]:
    """Run one script; its JSON object, or {"error": ...}. side: pixels of the image, None for the script's own.

    The object: {"unit": "ms", "lines": [{"name", "values": [float, ...], "median": float}, ...]}.
    """
    where = folder()
    if where is None:
        return {"error": "no source tree: the scripts in benchmarks/ are not installed"}
    source = str(Path(kernelwise.__file__).resolve().parents[1])
    path = os.pathsep.join(p for p in (source, os.environ.get("PYTHONPATH")) if p)
    size = [] if side is None else ["--side", str(side)]
    run = subprocess.run(
        [sys.executable, str(where / SCRIPTS[what]), "--repeats", str(repeats), *size],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": path},
        check=False,
    )
    if run.returncode:
        return {"error": (run.stderr.strip() or f"exit code {run.returncode}").splitlines()[-1]}
    found: dict[str, Any] = json.loads(run.stdout)
    return found
