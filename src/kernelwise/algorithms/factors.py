"""A kernel as a sum of products of its axes, where it is one: exactly for integers, to rounding for floats."""

from __future__ import annotations

import numpy as np

Factors = list[tuple[np.ndarray, np.ndarray, np.ndarray]]
LOOSE = 8  # units in the last place by which a product may miss its weight
CANCEL = 2.0  # how far the magnitudes of several terms may exceed the weights they add up to
WHOLE = 2.0**24  # whole numbers up to here are exact in every float


def factorise(weights: np.ndarray, most: int) -> Factors | None:
    """Up to ``most`` terms (depth, column, row), each in the dtype of ``weights`` [planes, rows, columns]; or None.

    Each term is a cross through the largest weight left, so that a kernel made as a product gives back its factors.
    Whole-numbered weights have whole-numbered factors or none, so that whole-numbered sums stay exact.
    A zero weight must be a zero of every term: a zero tap touches nothing.
    """
    if weights.dtype.kind == "i" or _whole(weights):
        exact = _whole_term(weights.astype(np.int64))
        return None if exact is None else [tuple(factor.astype(weights.dtype) for factor in exact)]  # type: ignore[list-item]
    rest = weights.astype(np.float64)
    terms: Factors = []
    products = np.zeros_like(rest)
    magnitude = np.zeros_like(rest)
    for _ in range(most):
        term = _cross(rest, weights.dtype)
        if term is None:
            return None
        terms.append(term)
        product = _outer([f.astype(np.float64) for f in term])
        products += product
        magnitude += np.abs(product)
        if _close(products, magnitude, weights, first=len(terms) == 1):
            return terms
        rest = weights.astype(np.float64) - products
    return None


def _close(products: np.ndarray, magnitude: np.ndarray, weights: np.ndarray, first: bool) -> bool:
    wanted = np.abs(weights.astype(np.float64))
    error = np.abs(products - weights)
    if not (error <= LOOSE * np.finfo(weights.dtype).eps / 2 * (wanted if first else magnitude)).all():
        return False
    return bool((magnitude <= CANCEL * wanted).all())


def _cross(rest: np.ndarray, dtype: np.dtype) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """The product that agrees with ``rest`` along the three lines through its largest element."""
    a, i, j = np.unravel_index(np.argmax(np.abs(rest)), rest.shape)
    pivot = rest[a, i, j]
    if pivot == 0 or not np.isfinite(pivot):
        return None
    parts = rest[:, i, j] / pivot, rest[a, :, j] / pivot, rest[a, i, :]
    with np.errstate(under="ignore"):
        depth, column, row = (p.astype(dtype) for p in parts)
    return depth, column, row


def _whole(weights: np.ndarray) -> bool:
    """Whole numbers, small enough that their products with pixels may be expected to be exact."""
    return bool(np.all(weights == np.rint(weights)) and np.abs(weights).max() < 2**31)


def _whole_term(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Integer factors whose product is the kernel, if there are any."""
    if not weights.any():
        return None
    a, i, j = np.unravel_index(np.argmax(np.abs(weights.astype(np.float64))), weights.shape)
    row = weights[a, i, :] // np.gcd.reduce(weights[a, i, :])
    column = weights[a, :, j] // row[j]
    column = column // max(1, np.gcd.reduce(column))
    depth = weights[:, i, j] // (column[i] * row[j])
    if len(depth) == 1:  # a single plane is not weighted
        depth, column = depth // depth[0], column * depth[0]
    return (depth, column, row) if np.array_equal(_outer([depth, column, row]), weights) else None


def _outer(term: list[np.ndarray]) -> np.ndarray:
    return term[0][:, None, None] * term[1][None, :, None] * term[2][None, None, :]
