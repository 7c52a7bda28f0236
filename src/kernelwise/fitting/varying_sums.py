"""The sums behind kernels that change over the image, from lag sums of the image times monomials.

    after[p] = sum over terms n of a_n(p) * corr(before, K_n)[p] + sum over b of c_b * a_b(p)

a_n are monomials in p, so products of two taps u, u' are weighted by a monomial e in p = q - u, where q is the pixel
that the first tap sees. In q it is a sum of monomials whose factors depend on u alone (see polynomials.moved), and what
is left are products of windows of the image times a monomial with windows of the image.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from .gather import clean_pair
from .moments import Moments
from .pairs import Pair
from .polynomials import Exponents, Grid, exponents, moved
from .weighted import weighted_moments
from .windows import How, later_products, window_matches

FLOAT = np.float64
PATCHES = 1024  # windows that are gathered at a time
SLAB = 1 << 21  # outputs at a time


@dataclass(frozen=True)
class Terms:
    """What may change: the kernel and the background, each by a polynomial."""

    degree: int
    background: int  # degree; -1 for none

    @property
    def kernel(self) -> list[Exponents]:
        return exponents(self.degree)

    @property
    def offset(self) -> list[Exponents]:
        return exponents(self.background)


@dataclass(frozen=True)
class VaryingSums:
    """Normal equations: the taps of all terms first, then the background's."""

    gram: np.ndarray  # (P + B, P + B)
    right: np.ndarray  # (P + B,)
    squares: float
    weight: float
    count: int

    def __add__(self, other: VaryingSums) -> VaryingSums:
        return self._joined(other, 1)

    def __sub__(self, other: VaryingSums) -> VaryingSums:
        return self._joined(other, -1)

    def _joined(self, other: VaryingSums, sign: int) -> VaryingSums:
        return VaryingSums(
            self.gram + sign * other.gram,
            self.right + sign * other.right,
            self.squares + sign * other.squares,
            self.weight + sign * other.weight,
            self.count + sign * other.count,
        )

    def without_background(self, kernel: int, taps: tuple[int, int, int], terms: int) -> Moments:
        """The background eliminated; terms stand where a kernel has channels."""
        outer, right, squares = self.gram[:kernel, :kernel], self.right[:kernel], self.squares
        if len(self.right) > kernel:
            solved = np.linalg.solve(
                self.gram[kernel:, kernel:], np.column_stack([self.gram[kernel:, :kernel], self.right[kernel:]])
            )
            cross = self.gram[:kernel, kernel:]
            outer = outer - cross @ solved[:, :-1]
            right = right - cross @ solved[:, -1]
            squares = squares - float(self.right[kernel:] @ solved[:, -1])
        zeros = np.zeros(1)
        return Moments(
            taps, np.zeros(terms), zeros, (outer + outer.T) / 2, np.zeros(kernel), right[:, np.newaxis], zeros,
            np.array([squares]), self.weight, self.count,
        )  # fmt: skip

    def background(self, kernel: np.ndarray) -> np.ndarray:
        """(B,): the best background of a kernel (P,)."""
        p = len(kernel)
        if len(self.right) == p:
            return np.zeros(0)
        found: np.ndarray = np.linalg.solve(self.gram[p:, p:], self.right[p:] - self.gram[p:, :p] @ kernel)
        return found


def varying_sums(
    pair: Pair, taps: tuple[int, int], terms: Terms, centre: tuple[float, float], threads: int | None
) -> VaryingSums:
    """Of one pair of images (one channel, one plane), the constants of ``centre`` subtracted from before and after."""
    before, after = (np.array([value]) for value in centre)
    dirty = pair.weights is not None or pair.used is not None
    clean = clean_pair(pair, (1, *taps), before, after)
    assert clean.used is not None
    if not dirty and clean.used.all():
        clean = Pair(clean.x, clean.y)
    grid = Grid(*pair.y.shape[3:])
    total = None
    for n in range(len(pair.y)):
        x = clean.x[n, 0, 0].astype(FLOAT) - centre[0]
        y = clean.y[n, 0, 0].astype(FLOAT) - centre[1]
        if clean.weights is not None:
            assert clean.used is not None
            weights = np.where(clean.used[n, 0], clean.weights[n, 0], 0).astype(FLOAT)
            found = _weighted(x, y, weights, taps, terms, grid, threads)
        else:
            found = _all_outputs(x, y, taps, terms, grid, threads)
            if clean.used is not None and not clean.used[n].all():
                found = found - _few_outputs(x, y, ~clean.used[n, 0], taps, terms, grid)
        total = found if total is None else total + found
    assert total is not None
    return total


def _all_outputs(
    x: np.ndarray, y: np.ndarray, taps: tuple[int, int], terms: Terms, grid: Grid, threads: int | None
) -> VaryingSums:
    kernel, size = terms.kernel, taps[0] * taps[1]
    products = _monomial_grams(x, taps, exponents(2 * terms.degree), grid, threads)
    blocks = [[products[_product(m, n)] for n in kernel] for m in kernel]
    gram = np.block(blocks)
    fields = _fields(grid, sorted({_product(m, b) for m in kernel for b in terms.offset} | set(kernel)))
    seen = {key: _matched(field, x, taps, threads) for key, field in fields.items()}
    right = [_matched(fields[n] * y, x, taps, threads) for n in kernel]
    flat = _fields(grid, terms.offset)
    cross = np.array([np.concatenate([seen[_product(n, b)] for n in kernel]) for b in terms.offset])
    return _put_together(gram, cross, np.concatenate(right), flat, y, None, size * len(kernel))


def _put_together(
    gram: np.ndarray,
    cross: np.ndarray,
    right: np.ndarray,
    flat: dict[Exponents, np.ndarray],
    y: np.ndarray,
    weights: np.ndarray | None,
    p: int,
) -> VaryingSums:
    b = len(flat)
    w = np.ones(()) if weights is None else weights
    whole = np.zeros((p + b, p + b))
    whole[:p, :p] = gram
    offsets = list(flat.values())
    if b:
        whole[p:, :p] = cross
        whole[:p, p:] = cross.T
        whole[p:, p:] = [[float((w * one * other).sum()) for other in offsets] for one in offsets]
        right = np.append(right, [float((w * one * y).sum()) for one in offsets])
    count = y.size if weights is None else int(np.count_nonzero(weights))
    weight = float(y.size) if weights is None else float(weights.sum())
    return VaryingSums(whole, right, float((w * y * y).sum()), weight, count)


def _monomial_grams(
    x: np.ndarray, taps: tuple[int, int], wanted: list[Exponents], grid: Grid, threads: int | None
) -> dict[Exponents, np.ndarray]:
    """sum over outputs p of monomial(p) * x[p + u] * x[p + u'], (size, size), for every monomial wanted."""
    size = taps[0] * taps[1]
    rows, columns = np.ogrid[: x.shape[0], : x.shape[1]]
    of_pixels = {
        key: later_products((grid.monomials([key], rows, columns)[0] * x), x, taps, How(threads=threads))
        for key in wanted
    }
    found = {}
    for key in wanted:
        gram = np.zeros((*taps, *taps))
        for u in range(taps[0]):
            for v in range(taps[1]):
                for part, factor in moved(key, u / grid.halves[0], v / grid.halves[1]):
                    gram[u, v] += factor * of_pixels[part][u, v]
        upper = np.triu(gram.reshape(size, size))  # taps before were not looked at: they are the same
        found[key] = upper + np.triu(upper, 1).T
    return found


def _matched(field: np.ndarray, x: np.ndarray, taps: tuple[int, int], threads: int | None) -> np.ndarray:
    """(size,) sum over outputs of field * window."""
    four = (np.newaxis, np.newaxis, np.newaxis)
    return window_matches(field[four], x[four], (1, *taps), How(threads=threads)).ravel()


def _fields(grid: Grid, terms: list[Exponents]) -> dict[Exponents, np.ndarray]:
    rows, columns = np.ogrid[: grid.rows, : grid.columns]
    return {term: np.ascontiguousarray(grid.monomials([term], rows, columns)[0]) for term in terms}


def _product(one: Exponents, other: Exponents) -> Exponents:
    return one[0] + other[0], one[1] + other[1]


def _weighted(
    x: np.ndarray,
    y: np.ndarray,
    weights: np.ndarray,
    taps: tuple[int, int],
    terms: Terms,
    grid: Grid,
    threads: int | None,
) -> VaryingSums:
    """With a weight for each output: a pass for every product of two terms."""
    kernel, size = terms.kernel, taps[0] * taps[1]
    four, zero = (np.newaxis, np.newaxis, np.newaxis), np.zeros(1)
    fields = _fields(grid, exponents(2 * terms.degree))
    grams = {}
    for key, field in fields.items():
        one = Pair(x[four], y[four], np.ones((1, 1, *y.shape), bool), (weights * field)[four[:2]])
        grams[key] = weighted_moments(one, (1, *taps), zero, zero, threads).gram
    gram = np.block([[grams[_product(m, n)] for n in kernel] for m in kernel])
    flat = _fields(grid, terms.offset)
    cross = [
        np.concatenate([_matched(weights * fields[n] * field, x, taps, threads) for n in kernel])
        for field in flat.values()
    ]
    right = np.concatenate([_matched(weights * fields[n] * y, x, taps, threads) for n in kernel])
    return _put_together(gram, np.array(cross), right, flat, y, weights, size * len(kernel))


def _few_outputs(
    x: np.ndarray, y: np.ndarray, chosen: np.ndarray, taps: tuple[int, int], terms: Terms, grid: Grid
) -> VaryingSums:
    """Over the chosen outputs alone, from their windows."""
    windows = sliding_window_view(x, taps)
    p = len(terms.kernel) * taps[0] * taps[1] + len(terms.offset)
    total = VaryingSums(np.zeros((p, p)), np.zeros(p), 0.0, 0.0, 0)
    where = np.nonzero(chosen)
    for first in range(0, len(where[0]), PATCHES):
        r, c = (index[first : first + PATCHES] for index in where)
        seen = windows[r, c].reshape(len(r), -1)
        design = [(a[:, np.newaxis] * seen) for a in grid.monomials(terms.kernel, r, c)]
        if terms.offset:
            design.append(grid.monomials(terms.offset, r, c).T)
        rows, values = np.concatenate(design, axis=1), y[r, c]
        total += VaryingSums(rows.T @ rows, rows.T @ values, float(values @ values), float(len(r)), len(r))
    return total
