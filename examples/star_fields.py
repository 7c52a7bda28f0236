"""The same stars on two nights: one image blurred to the other's seeing, subtracted, and what is new found.

    python examples/star_fields.py [--side 1024] [--folder runs/stars] [--no-scipy]

Two images of one field are simulated, with another seeing, noise, a background that tilts, saturated stars, and five
stars that were not there before. The kernel between the images changes over the field, so `kw.fit_varying_kernel`
learns a polynomial of kernels from all pixels but those of saturated stars. What remains of the difference should be
noise: its standard deviation over the one expected is the score, 1 at best, and new stars should stand out. The same
is done with SciPy alone (the windows of the brightest pixels and its least squares, one kernel for the whole field), as
one would without this library.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.lib.stride_tricks import sliding_window_view
from scipy import linalg, signal

import kernelwise as kw
from kernelwise.atomic import replacing

STARS, NEW = 0.0012, 5  # stars for each pixel of the field, and those that are only on the second night
SKY, READ_NOISE, FULL = 200.0, 5.0, 30_000.0  # counts: background, noise of the camera, where it saturates
SEEING = 1.2, 1.9  # pixels, on the first and on the second night
SIZE = 15  # of the kernel
TAPER = 0.35  # by how much the second night's seeing grows towards the right
REACH = 10  # pixels around a saturated one that are left out


@dataclass(frozen=True)
class Field:
    """Two nights: what was seen, what was saturated, and where the new stars are."""

    before: np.ndarray
    after: np.ndarray
    variance: np.ndarray  # of after, per pixel
    mask: np.ndarray  # True where a pixel may be used
    new: np.ndarray  # (n, 2) rows and columns
    sky: np.ndarray  # of after


def simulate(side: int, seed: int = 0) -> Field:
    """Stars of all magnitudes, each drawn as its night has them."""
    rng = np.random.default_rng(seed)
    count = int(STARS * side * side)
    places = rng.uniform(0, side, (count, 2))
    flux = 10 ** rng.uniform(2.5, 5.6, count)
    new = rng.uniform(0.15 * side, 0.85 * side, (NEW, 2))
    tilt = SKY + 30 * np.linspace(-1, 1, side)[:, np.newaxis] + 20 * np.linspace(-1, 1, side)
    first = SKY + drawn(side, places, flux, np.full(count, SEEING[0]))
    all_places, all_flux = np.concatenate([places, new]), np.append(flux, np.full(NEW, 6000.0))
    second = tilt + 0.8 * drawn(side, all_places, all_flux, SEEING[1] * (1 + TAPER * all_places[:, 1] / side))
    seen = [np.minimum(image + rng.normal(size=image.shape) * noise(image), FULL) for image in (first, second)]
    full = [image >= 0.9 * FULL for image in seen]
    mask = ~kw.correlate((full[0] | full[1]).astype(np.uint8), np.ones((2 * REACH + 1,) * 2, np.uint8)).astype(bool)
    return Field(seen[0].astype(np.float32), seen[1].astype(np.float32), noise(second) ** 2, mask, new, tilt)


def noise(image: np.ndarray) -> np.ndarray:
    """Standard deviation: photons, two counts to an electron, and the camera."""
    found: np.ndarray = np.sqrt(image / 2 + READ_NOISE**2)
    return found


def drawn(side: int, places: np.ndarray, flux: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """Stars as Gaussians around places between the pixels."""
    image = np.zeros((side, side))
    for (row, column), light, width in zip(places, flux, sigma, strict=True):
        reach = int(6 * width) + 1
        rows = np.arange(max(0, int(row) - reach), min(side, int(row) + reach + 1))
        columns = np.arange(max(0, int(column) - reach), min(side, int(column) + reach + 1))
        down, across = (np.exp(-((a - b) ** 2) / (2 * width**2)) for a, b in ((rows, row), (columns, column)))
        image[np.ix_(rows, columns)] += light / (2 * np.pi * width**2) * np.outer(down, across)
    return image


def with_kernelwise(field: Field) -> tuple[np.ndarray, np.ndarray, float]:
    """The difference, its standard deviation per pixel, and the seconds it took."""
    start = time.perf_counter()
    fit = kw.fit_varying_kernel(field.before, field.after, SIZE, degree=1, background_degree=1, mask=field.mask)
    seconds = time.perf_counter() - start
    middle = field.before.shape[0] / 2
    return fit.residual, spread(field, fit.at(middle, middle)), seconds


def with_scipy(field: Field) -> tuple[np.ndarray, np.ndarray, float]:
    """One kernel and a tilted plane for the whole field, from the windows of a few hundred stars."""
    start = time.perf_counter()
    half, side = SIZE // 2, field.before.shape[0]
    inside = (slice(half, side - half),) * 2
    windows = sliding_window_view(field.before, (SIZE, SIZE))
    bright = np.argsort(np.where(field.mask, field.before, 0)[inside].ravel())[-20_000:]
    rows, columns = np.unravel_index(bright, windows.shape[:2])
    plane = np.column_stack([np.ones(len(rows)), rows / side, columns / side])
    design = np.hstack([windows[rows, columns].reshape(len(rows), -1), plane]).astype(float)
    root = 1 / np.sqrt(field.variance[inside][rows, columns])
    solution = linalg.lstsq(design * root[:, np.newaxis], field.after[inside][rows, columns] * root)[0]
    kernel = solution[: SIZE * SIZE].reshape(SIZE, SIZE)
    grid = np.indices(windows.shape[:2]) / side
    model = signal.oaconvolve(field.before, kernel[::-1, ::-1], mode="valid")
    model += solution[-3] + solution[-2] * grid[0] + solution[-1] * grid[1]
    left = np.where(field.mask[inside], field.after[inside] - model, np.nan)
    return left, spread(field, kernel), time.perf_counter() - start


def spread(field: Field, kernel: np.ndarray) -> np.ndarray:
    """The noise expected in the difference: that of after, and that of before through the kernel."""
    half = SIZE // 2
    from_before = kw.corr2d(noise(np.maximum(field.before, 1).astype(float)) ** 2, kernel**2)
    found: np.ndarray = np.sqrt(field.variance[half:-half, half:-half] + from_before)
    return found


def score(left: np.ndarray, expected: np.ndarray, new: np.ndarray) -> tuple[float, int]:
    """(the standard deviation of the difference over the expected one; how many of the new stars are found)."""
    significance = left / expected
    value = float(np.nanstd(significance))
    smooth = kw.correlate(np.nan_to_num(significance), "gaussian:1.9") * 2 * np.sqrt(np.pi) * 1.9
    half = SIZE // 2
    found = 0
    for row, column in np.rint(new).astype(int) - half:
        near = smooth[max(0, row - 2) : row + 3, max(0, column - 2) : column + 3]
        found += bool(near.size and near.max() > 8)
    return value, found


def draw(path: Path, field: Field, results: dict[str, tuple[np.ndarray, np.ndarray, float]]) -> None:
    """Both nights and the differences, in units of the noise."""
    picture = Figure(figsize=(5 * (2 + len(results)), 5.2), layout="constrained")
    panels = picture.subplots(1, 2 + len(results))
    for axes, image, title in ((panels[0], field.before, "before"), (panels[1], field.after, "after")):
        axes.imshow(np.arcsinh((image - SKY) / 20), cmap="gray", vmin=-1, vmax=5)
        axes.set_title(title)
    for axes, (name, (left, expected, _)) in zip(panels[2:], results.items(), strict=True):
        axes.imshow(left / expected, cmap="RdBu", vmin=-5, vmax=5)
        axes.set_title(f"difference, {name}: {score(left, expected, field.new)[0]:.3f} times the noise")
        half = SIZE // 2
        axes.plot(field.new[:, 1] - half, field.new[:, 0] - half, "o", mfc="none", mec="black", ms=14)
    for axes in panels:
        axes.set_xticks([])
        axes.set_yticks([])
    with replacing(path) as stream:
        picture.savefig(stream, format="png", dpi=100)


def main(arguments: list[str] | None = None) -> dict[str, tuple[float, int]]:
    """Run, print, draw. Returns the scores."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--side", type=int, default=1024, help="pixels of the images")
    parser.add_argument("--folder", type=Path, default=Path("runs/stars"))
    parser.add_argument("--no-scipy", action="store_true")
    given = parser.parse_args(arguments)
    field = simulate(given.side)
    results = {"kernelwise": with_kernelwise(field)}
    if not given.no_scipy:
        results["SciPy"] = with_scipy(field)
    scores = {}
    for name, (left, expected, seconds) in results.items():
        scores[name] = score(left, expected, field.new)
        print(
            f"{name:<11} {scores[name][0]:.3f} times the noise, {scores[name][1]} of {NEW} new stars, {seconds:.2f} s"
        )
    given.folder.mkdir(parents=True, exist_ok=True)
    draw(given.folder / "difference.png", field, results)
    print(given.folder / "difference.png")
    return scores


if __name__ == "__main__":
    main()
