"""Where and with what a table was measured."""

from __future__ import annotations

import datetime
import os
import platform
from importlib import metadata
from pathlib import Path

import kernelwise as kw

from ...jit import target
from ...jit.peak import fma_gflops
from . import rivals


def describe() -> dict[str, str]:
    """CPU, target, versions and date: what a figure means nothing without."""
    found = {
        "cpu": cpu_model(),
        "cores": str(available_cores()),
        "target": f"{target.current().name} ({target.current().cpu})",
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "kernelwise": kw.__version__,
        "llvmlite": metadata.version("llvmlite"),
    }
    return found | rivals.versions() | {"date": datetime.date.today().isoformat()}


def available_cores() -> int:
    """Cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_model() -> str:
    """The processor's own name, as the system gives it."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def fma_peak() -> float:
    """Operations per second of one core in float32, a fused multiply-add counting as two."""
    return fma_gflops() * 1e9
