"""Megabytes that a call needs at its peak beyond its result, on a 4096 x 4096 image, in a process of its own.

kernelwise promises at most 64 MB and 16 times the kernel's bytes. It is the first call on such an image, so what a
library keeps for later calls counts; a call on a small image comes before, and a process that is not counted before
all, so that starting and compiling do not count. Linux only: the peak is VmHWM of /proc/self/status, reset before.
"""

import os
import sys
import tempfile
from collections.abc import Callable

import numpy as np
from common import child, is_installed, report, run

CASES = {"f32 3x3": (np.float32, 3), "f32 31x31": (np.float32, 31), "u8 15x15": (np.uint8, 15)}
RIVALS = {"cv2.filter2D": ("cv2", tuple(CASES)), "signal.oaconvolve": ("scipy", ("f32 31x31",))}  # module, cases


def resident(field: str) -> float:
    """VmRSS or VmHWM of this process in MB."""
    with open("/proc/self/status", encoding="ascii") as status:
        for line in status:
            if line.startswith(field):
                return int(line.split()[1]) * 1024 / 1e6
    raise OSError(f"no {field} in /proc/self/status")


def function(who: str, k: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    if who == "kernelwise":
        import kernelwise

        return lambda x: kernelwise.correlate(x, k, dtype=x.dtype)
    if who == "cv2.filter2D":
        import cv2

        return lambda x: cv2.filter2D(x, -1, k)
    from scipy import signal

    return lambda x: signal.oaconvolve(x.astype(np.float32, copy=False), k, mode="valid").astype(x.dtype, copy=False)


def peak(case: str, who: str, side: str) -> float:
    dtype, taps = CASES[case]
    x = (np.random.default_rng(1).random((int(side), int(side)), np.float32) * 255).astype(dtype)
    k = np.full((taps, taps), 1 / taps**2, np.float32)
    k[0, 0] *= 1.5  # no outer product
    call = function(who, k)
    call(x[:64, :64].copy())
    with open("/proc/self/clear_refs", "w", encoding="ascii") as reset:
        reset.write("5")
    before = resident("VmRSS")
    result = call(x)
    return round(max(0.0, resident("VmHWM") - before - result.nbytes / 1e6), 3)


def main(repeats: int, side: str) -> None:
    if not sys.platform.startswith("linux"):
        sys.exit("peak memory is measured on Linux only")
    here = [name for name, (module, _) in RIVALS.items() if is_installed(module)]
    values: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as cache:
        os.environ["KERNELWISE_CACHE"] = cache
        for case in CASES:
            child(__file__, case, "kernelwise", side)  # compiles; the later processes load
            for who in ("kernelwise", *(name for name in here if case in RIVALS[name][1])):
                values[f"{case}: {who}"] = [child(__file__, case, who, side) for _ in range(min(repeats, 3))]
    report("MB", values, [name for name in RIVALS if name not in here])


if __name__ == "__main__":
    run(peak, main, side=4096)
