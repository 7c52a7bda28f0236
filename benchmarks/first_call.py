"""Milliseconds of the first call in a process, imports not counted, on a 1440 x 1440 image (2 megapixels).

kernelwise compiles in its first process on a machine and loads from its cache in every later one. The cache is a
folder made for this run, so "first process" really compiles, and "second process" stands for all later ones.
"""

import os
import sys
import tempfile
import time

import numpy as np
from common import child, is_installed, report, run

CASES = ("f32 3x3", "u8 sobel-x")
RIVALS = {"cv2.filter2D": "cv2", "ndimage.correlate": "scipy"}


def arrays(case: str, side: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    if case == "f32 3x3":
        return rng.random((side, side), np.float32), rng.random((3, 3), np.float32)
    return rng.integers(0, 256, (side, side), np.uint8), np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], np.int32)


def first_call(case: str, who: str, side: str) -> float:
    x, k = arrays(case, int(side))
    dtype = np.dtype(np.float32 if case == "f32 3x3" else np.int16)
    if who == "kernelwise":
        import kernelwise

        correlate = kernelwise.correlate
        start = time.perf_counter()
        correlate(x, k, dtype=dtype)
    elif who == "cv2.filter2D":
        import cv2

        weights, depth = k.astype(np.float32), cv2.CV_32F if dtype == np.float32 else cv2.CV_16S
        start = time.perf_counter()
        cv2.filter2D(x, depth, weights)
    elif who == "ndimage.correlate":
        from scipy import ndimage

        start = time.perf_counter()
        ndimage.correlate(x, k, output=dtype, mode="mirror")
    else:
        sys.exit(f"unknown: {who}")
    return (time.perf_counter() - start) * 1e3


def main(repeats: int, side: str) -> None:
    here = [name for name, module in RIVALS.items() if is_installed(module)]
    values: dict[str, list[float]] = {}
    for case in CASES:
        for _ in range(repeats):
            with tempfile.TemporaryDirectory() as cache:
                os.environ["KERNELWISE_CACHE"] = cache
                for process in ("first process", "second process"):
                    name = f"{case}: kernelwise, {process}"
                    values.setdefault(name, []).append(child(__file__, case, "kernelwise", side))
            for rival in here:
                values.setdefault(f"{case}: {rival}", []).append(child(__file__, case, rival, side))
    report("ms", values, [name for name in RIVALS if name not in here])


if __name__ == "__main__":
    run(first_call, main, side=1440)
