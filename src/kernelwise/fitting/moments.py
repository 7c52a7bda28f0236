"""All that least squares knows of images before and after: a few sums, which add up over images, bands and machines."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .windows import Taps


@dataclass(frozen=True)
class Moments:
    """Weighted sums over outputs; p: the window of an output in all channels, as a vector; y: its value in each result.

    Pixels are measured from ``before`` (c,) and results from ``after`` (m,): constants near the means, so that little
    cancels when the background is taken out.
    """

    taps: Taps
    before: np.ndarray  # (c,) subtracted from each channel
    after: np.ndarray  # (m,) subtracted from each result
    gram: np.ndarray  # (P, P) sum of w p p', P = c * taps
    seen: np.ndarray  # (P,) sum of w p
    right: np.ndarray  # (P, m) sum of w p y
    total: np.ndarray  # (m,) sum of w y
    squares: np.ndarray  # (m,) sum of w y^2
    weight: float  # sum of w
    count: int  # outputs whose weight is not zero

    @property
    def channels(self) -> int:
        return len(self.before)

    @property
    def outputs(self) -> int:
        return len(self.after)

    @property
    def consistent(self) -> bool:
        """Whether the shapes belong together."""
        p, m = self.channels * int(np.prod(self.taps)), self.outputs
        shapes = self.gram.shape, self.seen.shape, self.right.shape, self.total.shape, self.squares.shape
        return shapes == ((p, p), (p,), (p, m), (m,), (m,))

    def __add__(self, other: Moments) -> Moments:
        """Both taken together. Measured from the same constants, they add up field by field."""
        return self._joined(other.measured_from(self.before, self.after), 1)

    def __sub__(self, other: Moments) -> Moments:
        """What remains without outputs that are among these."""
        return self._joined(other.measured_from(self.before, self.after), -1)

    def _joined(self, other: Moments, sign: int) -> Moments:
        names = ("gram", "seen", "right", "total", "squares", "weight", "count")
        return replace(self, **{name: getattr(self, name) + sign * getattr(other, name) for name in names})

    def measured_from(self, before: np.ndarray, after: np.ndarray) -> Moments:
        """The same sums with other constants subtracted."""
        if np.array_equal(before, self.before) and np.array_equal(after, self.after):
            return self
        n, size = self.weight, int(np.prod(self.taps))
        d, e = np.repeat(before - self.before, size), after - self.after
        cross = np.outer(self.seen, d)
        return replace(
            self,
            before=before,
            after=after,
            gram=self.gram - cross - cross.T + n * np.outer(d, d),
            seen=self.seen - n * d,
            right=self.right - np.outer(d, self.total) - np.outer(self.seen, e) + n * np.outer(d, e),
            total=self.total - n * e,
            squares=self.squares - 2 * e * self.total + n * e**2,
        )

    def within(self, taps: Taps) -> Moments:
        """Of a smaller kernel with its anchor at the same pixel, over the same outputs."""
        if taps == self.taps:
            return self
        kept = self.places(taps)
        return replace(
            self, taps=taps, gram=self.gram[np.ix_(kept, kept)], seen=self.seen[kept], right=self.right[kept]
        )

    def places(self, taps: Taps) -> np.ndarray:
        """The numbers of the taps of a smaller kernel with its anchor at the same pixel, in all channels."""
        inside = np.zeros((self.channels, *self.taps), bool)
        first = [large // 2 - small // 2 for large, small in zip(self.taps, taps, strict=True)]
        inside[(slice(None), *(slice(f, f + n) for f, n in zip(first, taps, strict=True)))] = True
        return np.flatnonzero(inside)


def empty(taps: Taps, before: np.ndarray, after: np.ndarray) -> Moments:
    """Of no outputs."""
    size, outputs = len(before) * int(np.prod(taps)), len(after)
    zeros = np.zeros
    return Moments(
        taps, before, after, zeros((size, size)), zeros(size), zeros((size, outputs)), zeros(outputs), zeros(outputs),
        0.0, 0,
    )  # fmt: skip


def of_products(products: np.ndarray, taps: Taps, before: np.ndarray, after: np.ndarray, count: int) -> Moments:
    """From the sums of f f' over some outputs, f = (the window in all channels, 1, all results)."""
    size = len(before) * int(np.prod(taps))
    results = slice(size + 1, None)
    return Moments(
        taps,
        before,
        after,
        gram=np.ascontiguousarray(products[:size, :size]),
        seen=products[:size, size].copy(),
        right=np.ascontiguousarray(products[:size, results]),
        total=products[size, results].copy(),
        squares=np.diag(products)[results].copy(),
        weight=float(products[size, size]),
        count=count,
    )
