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
MOST = 400  # blocks
TOGETHER = 1 << 18  # numbers that are transformed at a time
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
    """Power at each frequency of a block, such that its mean is the residual's variance.

    Of a large image MOST blocks are looked at, spread evenly over it; a few at a time, so that little memory is taken.
    """
    shape = residual.shape[1:]
    sides = tuple(1 if n == 1 else max(min(LEAST, n), min(BLOCK, n // 2)) for n in shape)
    taper = np.ones(())
    for side in sides:
        # of length n + 2 without its zeros, so that short blocks keep something
        hann = np.hanning(side + 2)[1:-1] if side > 1 else np.ones(1)
        taper = np.multiply.outer(taper, hann)
    steps = [max(1, side // 2) for side in sides]
    counts = [(n - side) // step + 1 for n, side, step in zip(shape, sides, steps, strict=True)]
    every = len(residual) * int(np.prod(counts))
    chosen = np.unique(np.linspace(0, every - 1, min(MOST, every)).astype(np.intp))
    places = np.stack(np.unravel_index(chosen, (len(residual), *counts)), axis=1) * [1, *steps]
    total, weight = np.zeros((*sides[:2], sides[2] // 2 + 1)), 0.0
    together = max(1, TOGETHER // int(np.prod(sides)))
    for first in range(0, len(places), together):
        blocks = np.stack([_block(residual, place, sides) for place in places[first : first + together]])
        known = np.isfinite(blocks)
        weight += float((taper**2 * known).sum())
        spectra = np.fft.rfftn(np.where(known, blocks, 0) * taper, axes=(1, 2, 3))
        total += (np.square(spectra.real) + np.square(spectra.imag)).sum(axis=0)
    return _mirrored(total / weight if weight else total, sides[2])


def _block(residual: np.ndarray, place: np.ndarray, sides: tuple[int, ...]) -> np.ndarray:
    n, *first = place
    block: np.ndarray = residual[n][tuple(slice(f, f + side) for f, side in zip(first, sides, strict=True))]
    return block.astype(np.float64)


def _mirrored(half: np.ndarray, columns: int) -> np.ndarray:
    """The power at all frequencies of a real image, from that at those of half the columns."""
    planes, rows = (-np.arange(n) for n in half.shape[:2])
    others = half[np.ix_(planes, rows, columns - np.arange(half.shape[2], columns))]
    return np.concatenate([half, others], axis=2)
