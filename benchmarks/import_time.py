"""Milliseconds that an import takes in a fresh process in which NumPy is imported already."""

import importlib
import time

from common import child, is_installed, report, run

MODULES = ("kernelwise", "kernelwise correlate", "cv2", "scipy.ndimage", "skimage.filters gaussian")


def import_one(module: str, attribute: str = "") -> float:
    import numpy  # noqa: F401  its time is not counted

    start = time.perf_counter()
    loaded = importlib.import_module(module)
    if attribute:
        getattr(loaded, attribute)  # a lazy package imports here
    return (time.perf_counter() - start) * 1e3


def main(repeats: int, _side: str) -> None:
    here = [m for m in MODULES if is_installed(m)]
    values: dict[str, list[float]] = {module: [] for module in here}
    for _ in range(repeats):
        for module in here:
            values[module].append(child(__file__, *module.split()))
    report("ms", {f"import {m}": v for m, v in values.items()}, [m for m in MODULES if m not in here])


if __name__ == "__main__":
    run(import_one, main, side=0)
