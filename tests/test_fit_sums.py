"""The sums behind a fit are those over gathered windows: all geometry, masks, weights, pixels that are not finite."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

import kernelwise as kw
from kernelwise.fitting.gather import centres, moments
from kernelwise.fitting.moments import Moments
from kernelwise.fitting.pairs import Pair
from kernelwise.fitting.polynomials import Grid
from kernelwise.fitting.varying_sums import Terms, varying_sums
from kernelwise.fitting.windows import How, window_matches, window_products, window_sums

CASES = 320
CHUNKS = 4
SIZES = ((1, 1), (1, 3), (2, 3), (3, 3), (4, 2))  # few, for each has code of its own


def random_pair(rng: np.random.Generator, dtype: str = "f8") -> tuple[Pair, tuple[int, int, int]]:
    taps = (1, *SIZES[rng.integers(len(SIZES))])
    if rng.random() < 0.3:
        taps = (2, *taps[1:])
    n, c, m = (int(v) for v in rng.integers(1, 4, 3))
    shape = tuple(k + int(rng.integers(0, 9)) for k in taps)
    if taps[0] == 1 and rng.random() < 0.8:
        shape = (1, *shape[1:])
    x = (rng.normal(size=(n, c, *shape)) * 10 + 100).astype(dtype)
    outputs = tuple(s - k + 1 for s, k in zip(shape, taps, strict=True))
    y = (rng.normal(size=(n, m, *outputs)) * 10 - 50).astype(dtype)
    used = rng.random((n, *outputs)) < rng.random() if rng.random() < 0.4 else None
    weights = rng.random((n, *outputs)) if rng.random() < 0.4 else None
    if rng.random() < 0.4:
        x[rng.random(x.shape) < 0.02] = np.nan
        y[rng.random(y.shape) < 0.02] = np.inf
    return Pair(x, y, used, weights), taps


def gathered(pair: Pair, taps: tuple[int, int, int], before: np.ndarray, after: np.ndarray) -> dict[str, Any]:
    """By the definition: the windows of all outputs that may be used, as rows."""
    size = int(np.prod(taps))
    p = sliding_window_view(pair.x.astype(np.float64), taps, axis=(2, 3, 4))
    p = p.transpose(0, 2, 3, 4, 1, 5, 6, 7).reshape(-1, pair.x.shape[1] * size) - np.repeat(before, size)
    y = pair.y.astype(np.float64).transpose(0, 2, 3, 4, 1).reshape(-1, pair.y.shape[1]) - after
    good = np.isfinite(p).all(axis=1) & np.isfinite(y).all(axis=1)
    if pair.used is not None:
        good &= pair.used.ravel()
    w = (np.ones(len(y)) if pair.weights is None else pair.weights.ravel())[good]
    p, y = p[good], y[good]
    spread = np.sqrt(w @ (p**2).sum(axis=1)), np.sqrt(w @ (y**2).sum(axis=1))
    return {
        "gram": (p.T @ (w[:, None] * p), spread[0] ** 2),
        "seen": (w @ p, spread[0] * np.sqrt(w.sum())),
        "right": (p.T @ (w[:, None] * y), spread[0] * spread[1]),
        "total": (w @ y, spread[1] * np.sqrt(w.sum())),
        "squares": (w @ y**2, spread[1] ** 2),
        "weight": (w.sum(), w.sum()),
        "count": (int(np.count_nonzero(w)), 1.0),
    }


@pytest.mark.parametrize("chunk", range(CHUNKS))
@pytest.mark.parametrize("dtype", ["f8", "f4"])
def test_sums_are_those_over_gathered_windows(chunk: int, dtype: str) -> None:
    rng = np.random.default_rng(chunk)
    for case in range(CASES // CHUNKS // 2):
        pair, taps = random_pair(rng, dtype)
        middle = centres(pair)
        found = moments(pair, taps, *middle)
        # numbers a few hundred deviations from their means were taken out of the sums again
        allowed = 1e-12 if dtype == "f8" else 1e-6
        for name, (wanted, scale) in gathered(pair, taps, *middle).items():
            error = np.abs(getattr(found, name) - wanted).max(initial=0)
            assert error <= allowed * scale + 1e-9 * (scale == 0), (name, case, taps, pair.x.shape, error / scale)


def test_sums_of_integers_are_exact_in_one_to_three_dimensions(rng: np.random.Generator) -> None:
    for _ in range(36):
        pair, taps = random_pair(rng)
        x = rng.integers(-9, 10, pair.x.shape).astype(rng.choice(["f4", "i2", "f8", "u1"]))
        windows = sliding_window_view(x, taps, axis=(2, 3, 4))
        size = x.shape[1] * int(np.prod(taps))
        p = windows.transpose(0, 2, 3, 4, 1, 5, 6, 7).reshape(-1, size).astype(np.float64)
        y = rng.integers(-9, 10, pair.y.shape).astype("f4")
        rows = y.transpose(0, 2, 3, 4, 1).reshape(-1, y.shape[1]).astype(np.float64)
        assert np.array_equal(window_products(x, taps).reshape(size, size), p.T @ p)
        assert np.array_equal(window_sums(x, taps).ravel(), p.sum(axis=0))
        assert np.array_equal(window_matches(y, x, taps).reshape(len(rows.T), size), rows.T @ p)


def test_sums_do_not_depend_on_threads(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(1, 1, 1, 300, 310)), rng.normal(size=(1, 1, 1, 286, 296))
    pair, taps = Pair(x, y), (1, 15, 15)
    runs = [moments(pair, taps, np.zeros(1), np.zeros(1), How(threads=threads)) for threads in (1, 2, 3, 8)]
    for other in runs[1:]:
        for name in ("gram", "seen", "right", "total", "squares"):
            assert np.array_equal(getattr(runs[0], name), getattr(other, name)), name


def test_sums_measured_from_other_constants_are_the_same_sums(rng: np.random.Generator) -> None:
    for _ in range(40):
        pair, taps = random_pair(rng)
        c, m = pair.x.shape[1], pair.y.shape[1]
        here, there = (np.full(c, 99.0), np.full(m, -48.0)), (rng.normal(size=c) + 101, rng.normal(size=m) - 50)
        moved = moments(pair, taps, *here).measured_from(*there)
        for name, (wanted, scale) in gathered(pair, taps, *there).items():
            assert np.abs(getattr(moved, name) - wanted).max(initial=0) <= 1e-12 * scale + 1e-8 * (scale < 1), name


def test_a_smaller_kernel_has_the_middle_of_a_larger_ones_sums(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(1, 2, 1, 30, 31)), rng.normal(size=(1, 1, 1, 24, 25))
    zero = np.zeros(2), np.zeros(1)
    large = moments(Pair(x, y), (1, 7, 7), *zero).within((1, 3, 5))
    small = moments(Pair(x[..., 2:28, 1:30], y), (1, 3, 5), *zero)
    for name in ("gram", "seen", "right"):
        assert np.allclose(getattr(large, name), getattr(small, name), rtol=0, atol=1e-10), name


def test_varying_sums_are_those_over_gathered_windows() -> None:
    rng = np.random.default_rng(5)
    for _ in range(30):
        taps = SIZES[rng.integers(len(SIZES))]
        terms = Terms(int(rng.integers(0, 3)), int(rng.integers(-1, 3)))
        shape = tuple(k + int(rng.integers(1, 12)) for k in taps)
        outputs = shape[0] - taps[0] + 1, shape[1] - taps[1] + 1
        x, y = rng.normal(size=shape) + 2, rng.normal(size=outputs)
        used = rng.random((1, 1, *outputs)) < 0.7 if rng.random() < 0.4 else None
        weights = rng.random((1, 1, *outputs)) if rng.random() < 0.4 else None
        lone = (None, None, None)
        found = varying_sums(Pair(x[lone], y[lone], used, weights), taps, terms, (0.5, 0.1), None)
        rows, columns = np.mgrid[: outputs[0], : outputs[1]]
        grid = Grid(*outputs)
        p = sliding_window_view(x - 0.5, taps).reshape(-1, taps[0] * taps[1])
        design = [a.reshape(-1, 1) * p for a in grid.monomials(terms.kernel, rows, columns)]
        if terms.offset:
            design.append(grid.monomials(terms.offset, rows, columns).reshape(len(terms.offset), -1).T)
        a = np.concatenate(design, axis=1)
        w = np.ones(outputs) if weights is None else weights[0, 0].copy()
        w = (w if used is None else w * used[0, 0]).ravel()
        assert np.abs(found.gram - a.T @ (w[:, None] * a)).max() < 1e-10
        assert np.abs(found.right - a.T @ (w * (y.ravel() - 0.1))).max() < 1e-10


# ---------------------------------------------------------------- statistics that are kept


def same(one: Moments | None, other: Moments | None) -> bool:
    assert one is not None and other is not None
    names = ("before", "after", "gram", "seen", "right", "total", "squares", "weight", "count")
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)


def test_statistics_of_parts_add_up_to_those_of_the_whole(rng: np.random.Generator) -> None:
    x = rng.normal(size=(3, 60, 64)) + 5
    y = np.stack([kw.corr2d(image, [[1.0, 2], [3, -1]]) for image in x]) + rng.normal(size=(3, 59, 63))
    whole = kw.FitStatistics((2, 2)).update(x, y).solve()
    parts = [kw.FitStatistics((2, 2)).update(a, b) for a, b in zip(x, y, strict=True)]
    joined = (parts[0] + parts[1] + parts[2]).solve()
    listed = kw.FitStatistics((2, 2)).update(list(x), iter(y)).solve()
    for other in (joined, listed):
        assert np.abs(other.kernel - whole.kernel).max() < 1e-13
        assert np.abs(other.stderr - whole.stderr).max() < 1e-13
        assert abs(other.background - whole.background) < 1e-12 and other.outputs == whole.outputs == y.size


def test_statistics_come_back_from_a_file_as_they_were(tmp_path: Path, rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(2, 40, 50)), rng.normal(size=(3, 38, 48))
    kept = kw.FitStatistics(3, channels=True).update(x, y)
    kept.save(tmp_path / "sums.npz")
    back = kw.FitStatistics.load(tmp_path / "sums.npz")
    assert same(kept._moments, back._moments) and back.max_size == (3, 3)
    assert np.array_equal(back.solve().kernel, kept.solve().kernel) and kept.solve().kernel.shape == (3, 2, 3, 3)
    assert list(tmp_path.iterdir()) == [tmp_path / "sums.npz"]


@pytest.mark.parametrize("content", [b"", b"no such file", b"PK\x03\x04 cut short"])
def test_a_file_that_is_none_of_ours_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.npz"
    path.write_bytes(content)
    with pytest.raises(kw.errors.FileError, match="other.npz: not statistics of a fit"):
        kw.FitStatistics.load(path)
    np.savez(path, gram=np.array([object()], dtype=object))
    with pytest.raises(kw.errors.FileError, match="other.npz: not statistics of a fit"):
        kw.FitStatistics.load(path)


def test_statistics_that_do_not_belong_together_are_refused(rng: np.random.Generator) -> None:
    one = kw.FitStatistics(3).update(rng.normal(size=(9, 9)), rng.normal(size=(7, 7)))
    with pytest.raises(kw.errors.ArgumentError, match="`max_size`"):
        one + kw.FitStatistics(5)
    with pytest.raises(kw.errors.ArgumentError, match="no images"):
        kw.FitStatistics(3).solve()
    with pytest.raises(kw.errors.ArgumentError, match="`size` must be at most `max_size`"):
        one.solve(5)
    channels = kw.FitStatistics(3, channels=True).update(rng.normal(size=(2, 9, 9)), rng.normal(size=(1, 7, 7)))
    with pytest.raises(kw.errors.ArgumentError, match="`before` must have 2 channels"):
        channels.update(rng.normal(size=(3, 9, 9)), rng.normal(size=(1, 7, 7)))
