"""What a kernel may look like, as a point and the directions in which it is free: symmetries, a fixed sum, a prior."""

from __future__ import annotations

import numpy as np

from .windows import Taps

SYMMETRIES = ("left-right", "up-down", "both", "point", "all")


def free_directions(channels: int, taps: Taps, symmetric: str | None, fixed_sum: bool) -> np.ndarray:
    """(P, q), orthonormal: every kernel of the symmetry, of sum 0 in every channel together if the sum is fixed."""
    basis = _symmetric_basis(taps, symmetric)
    along = np.kron(np.eye(channels), basis)
    if not fixed_sum:
        return along
    sums = along.sum(axis=0)
    # orthonormal directions at right angles to the one that changes the sum
    q, _ = np.linalg.qr(np.column_stack([sums, np.eye(len(sums))]))
    rest: np.ndarray = along @ q[:, 1 : len(sums)]
    return rest


def _symmetric_basis(taps: Taps, symmetric: str | None) -> np.ndarray:
    """(taps, orbits): each column holds the taps that must be alike, scaled to length 1."""
    size = int(np.prod(taps))
    if symmetric is None:
        return np.eye(size)
    places = np.arange(size).reshape(taps)
    orbit = places.copy()
    while True:  # the least number among all places that a tap can be moved to
        least = orbit
        for image in _images(orbit, symmetric):
            least = np.minimum(least, image)
        if np.array_equal(least, orbit):
            break
        orbit = least
    names, number = np.unique(orbit, return_inverse=True)
    basis = np.zeros((size, len(names)))
    basis[places.ravel(), number.ravel()] = 1
    found: np.ndarray = basis / np.sqrt(basis.sum(axis=0))
    return found


def _images(kernel: np.ndarray, symmetric: str) -> list[np.ndarray]:
    """What a kernel must be equal to."""
    across, down = kernel[:, :, ::-1], kernel[:, ::-1]
    if symmetric == "left-right":
        return [across]
    if symmetric == "up-down":
        return [down]
    if symmetric == "both":
        return [across, down]
    if symmetric == "point":
        return [kernel[::-1, ::-1, ::-1]]
    return [across, down, kernel.swapaxes(1, 2)]


def nearest(along: np.ndarray, prior: np.ndarray, sum_to: float | None) -> np.ndarray:
    """(P, m): the allowed kernels that are nearest to ``prior`` (P, m)."""
    base: np.ndarray = along @ (along.T @ prior)
    return base if sum_to is None else base + sum_to / len(base)
