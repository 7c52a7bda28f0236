"""Where, outside a kernel, what it leaves unexplained still follows the image before: phase correlation.

Kuglin and Hines, "The phase correlation image alignment method", Proc. Int. Conf. Cybernetics and Society (1975).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MOST = 1024  # pixels along an axis that are looked at
CLOSER = 6.0  # standard deviations from which on a peak is compared with those of its own place


@dataclass(frozen=True)
class Shift:
    """A place where two images match."""

    distance: tuple[int, ...]  # planes, rows, columns, from the kernel's middle
    height: float  # in standard deviations of the surface

    def beyond(self, taps: tuple[int, ...]) -> bool:
        """Whether it lies outside the ring of taps around a kernel."""
        sides = zip(self.distance, taps, strict=True)
        return any(not -(k // 2) - 1 <= d <= k - k // 2 for d, k in sides)

    def told(self, dims: int) -> str:
        return "(" + ", ".join(f"{d:+d}" for d in self.distance[-dims:]) + ")"


def strongest_shift(x: np.ndarray, residual: np.ndarray, taps: tuple[int, ...]) -> Shift | None:
    """x: (planes, rows, columns) of an image before; residual: of its outputs, NaN where there is none.

    Of a large image its middle is looked at."""
    shape = tuple(_smooth(min(MOST, n)) for n in residual.shape)
    first = [(n - k) // 2 for n, k in zip(residual.shape, shape, strict=True)]
    cut = tuple(slice(f, f + n) for f, n in zip(first, shape, strict=True))
    middle = tuple(slice(f + k // 2, f + k // 2 + n) for f, k, n in zip(first, taps, shape, strict=True))
    a, b = _tapered(x[middle]), _tapered(residual[cut])
    of_a = np.fft.rfftn(a)
    size = np.abs(of_a)
    if not size.any():
        return None
    # the image is made white, else everything would match at all small shifts; the residual stays as it is
    cross = of_a / np.maximum(size, 1e-9 * size.max()) * np.conj(np.fft.rfftn(b))
    surface = np.fft.irfftn(cross, a.shape, axes=range(a.ndim))
    spread = float(surface.std())
    for k, n in zip(taps, shape, strict=True):
        if k >= n > 1:
            return None
    surface[np.ix_(*(_inside(k, n) for k, n in zip(taps, shape, strict=True)))] = 0
    place = np.unravel_index(int(np.argmax(np.abs(surface))), surface.shape)
    height = float(abs(surface[place])) / spread if spread else 0.0
    if height > CLOSER:  # where what is left of a white image stands in few places, the surface is higher over them
        white = np.fft.irfftn(of_a / np.maximum(size, 1e-9 * size.max()), a.shape, axes=range(a.ndim))
        met = np.roll(white, [-int(p) for p in place], axis=range(a.ndim))
        height = min(height, float(abs(surface[place])) / float(np.linalg.norm(met * b)))
    distance = tuple(int(p) - n if p > n // 2 else int(p) for p, n in zip(place, shape, strict=True))
    return Shift(distance, height)


def _tapered(image: np.ndarray) -> np.ndarray:
    known = np.isfinite(image)
    values = np.where(known, image, 0).astype(np.float64)
    values -= values.sum() / max(1, np.count_nonzero(known))
    values[~known] = 0
    values /= np.abs(values).max(initial=0.0) or 1.0  # any scale does, but that of float32
    for axis, n in enumerate(values.shape):
        if n > 2:
            shape = [1] * values.ndim
            shape[axis] = n
            values *= np.hanning(n).reshape(shape)
    return values.astype(np.float32)


def _smooth(n: int) -> int:
    """The largest number up to n without prime factors above 5: of such lengths transforms are fast."""
    return max(2**a * 3**b * 5**c for a in range(11) for b in range(7) for c in range(5) if 2**a * 3**b * 5**c <= n)


def _inside(taps: int, n: int) -> np.ndarray:
    """Shifts that a kernel covers, as places in a transform."""
    return np.unique(np.arange(-(taps // 2), taps - taps // 2) % n)
