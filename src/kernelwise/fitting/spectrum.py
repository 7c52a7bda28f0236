"""How the noise that a fit leaves is correlated: its power spectrum, and the filter that gives white noise the same.

Welch, "The use of fast Fourier transform for the estimation of power spectra", IEEE Trans. Audio Electroacoust. 15
(1967): the residual is cut into overlapping blocks, each tapered by Hann windows, and their periodograms are averaged.
The error of each frequency is then in proportion to its own power. Weak frequencies matter: noise that was smoothed has
little power just where kernels are least certain, and an estimate that lets power leak there makes error bars too long.
"""

from __future__ import annotations

import numpy as np

BLOCK = 64  # pixels along each axis
LEAST = 8
REACH = 16  # taps of the filter on each side of its middle


def noise_filter(residual: np.ndarray) -> np.ndarray:
    """A symmetric filter that turns white noise of variance 1 into noise with the residual's spectrum.

    residual: (n, planes, rows, columns), NaN where there is none. Returns float64 with odd sides.
    """
    power = power_spectrum(residual)
    taps = np.fft.ifftn(np.sqrt(power), axes=range(power.ndim)).real
    reach = [min(REACH, (n - 1) // 2) for n in power.shape]
    taps = np.roll(taps, reach, axis=tuple(range(power.ndim)))
    found: np.ndarray = taps[tuple(slice(0, 2 * r + 1) for r in reach)]
    return found


def power_spectrum(residual: np.ndarray) -> np.ndarray:
    """Power at each frequency of a block, such that its mean is the residual's variance."""
    shape = residual.shape[1:]
    sides = tuple(1 if n == 1 else max(min(LEAST, n), min(BLOCK, n // 2)) for n in shape)
    taper = np.ones(())
    for side in sides:
        # of length n + 2 without its zeros, so that short blocks keep something
        hann = np.hanning(side + 2)[1:-1] if side > 1 else np.ones(1)
        taper = np.multiply.outer(taper, hann)
    total, weight = np.zeros(sides), 0.0
    starts = [range(0, n - side + 1, max(1, side // 2)) for n, side in zip(shape, sides, strict=True)]
    for image in residual:
        for z in starts[0]:
            for y in starts[1]:
                rows = image[z : z + sides[0], y : y + sides[1]].astype(np.float64)
                for x in starts[2]:
                    block = rows[:, :, x : x + sides[2]]
                    known = np.isfinite(block)
                    used = float((taper**2 * known).sum())
                    if used == 0:
                        continue
                    total += np.abs(np.fft.fftn(np.where(known, block, 0) * taper)) ** 2
                    weight += used
    return total / weight if weight else total
