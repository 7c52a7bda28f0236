"""What is measured: kernels, type pairs and image sizes, as rows with fixed seeds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

DTYPES: dict[str, np.dtype] = {
    "f32": np.dtype(np.float32),
    "u8": np.dtype(np.uint8),
    "int16": np.dtype(np.int16),
}
PAIRS = (("f32", "f32"), ("u8", "u8"), ("u8", "int16"), ("u8", "f32"))
SHAPES = ((512, 512), (1080, 1920), (4096, 4096), (1080, 1920, 3))
DENSE = ((1, 2), (3, 3), (5, 5), (7, 7))
LARGE = (11, 15, 31, 63)  # sides of the kernels in the group "large"
LARGE_PAIRS = (("f32", "f32"), ("u8", "u8"), ("u8", "f32"))
LARGE_SHAPES = ((512, 512), (1080, 1920), (4096, 4096))
GAUSSIANS = {5: 1.0, 15: 2.5}  # taps -> sigma in pixels
LARGEST_INTEGER_SUM = 128  # of sum|k|: then 255 * sum|k| fits in int16, and no integer row saturates there


@dataclass(frozen=True, eq=False)
class Kernel:
    """A kernel and what a rival must know to call the function it has for it."""

    name: str
    weights: np.ndarray  # (h, w), float or int32, correlation orientation
    family: str  # "dense", "difference", "sobel-x", "laplace" or "gaussian"
    factors: tuple[np.ndarray, np.ndarray] | None = None  # (column, row), whose outer product the weights are
    sigma: float = 0.0  # of a gaussian, in pixels

    @property
    def exact(self) -> bool:
        """Integer weights: every output on an integer image is defined to the last bit."""
        return self.weights.dtype.kind == "i"


@dataclass(frozen=True, eq=False)
class Row:
    """One line of the table: this kernel on an image of this shape, from one dtype to another."""

    kernel: Kernel
    shape: tuple[int, ...]  # (h, w) or (h, w, 3), colours interleaved
    source: str  # a key of DTYPES
    result: str
    name: str = field(init=False)

    def __post_init__(self) -> None:
        size = "x".join(map(str, self.shape))
        group = "large " if self.large else ""
        object.__setattr__(self, "name", f"{group}{size} {self.source}->{self.result} {self.kernel.name}")

    @property
    def large(self) -> bool:
        """A dense kernel that Fourier transforms are made for: what goes tap by tap does not take part."""
        return self.kernel.family == "dense" and min(self.kernel.weights.shape) >= LARGE[0]

    @property
    def image_name(self) -> str:
        return "x".join(map(str, self.shape))

    @property
    def types(self) -> str:
        return f"{self.source}->{self.result}"

    @property
    def colour(self) -> bool:
        return len(self.shape) == 3

    def image(self) -> np.ndarray:
        """Noise over the whole range of the dtype: uniform in [0, 1), or 0 .. 255."""
        rng = np.random.default_rng(7)
        if self.source == "f32":
            return rng.random(self.shape, np.float32)
        return rng.integers(0, 256, self.shape, np.uint8)

    def empty(self) -> np.ndarray:
        """A result array that holds no result: NaN, or 77, everywhere."""
        dtype = DTYPES[self.result]
        return np.full(self.shape, np.nan if dtype.kind == "f" else 77, dtype)

    def bytes_moved(self) -> int:
        """Bytes of the image and of the result together."""
        return int(np.prod(self.shape)) * (DTYPES[self.source].itemsize + DTYPES[self.result].itemsize)

    def flops(self) -> int:
        """A multiplication and an addition per tap and output, as the definition has them."""
        return 2 * self.kernel.weights.size * int(np.prod(self.shape))


def dense(height: int, width: int) -> Kernel:
    """Random floats of both signs with sum 1, so that u8 results keep to the range."""
    weights = np.random.default_rng(height * 100 + width).uniform(-0.3, 1.0, (height, width))
    return Kernel(f"{height}x{width}", (weights / weights.sum()).astype(np.float32), "dense")


def dense_integers(height: int, width: int) -> Kernel:
    """Random integers without zeros; sum|k| <= 128."""
    rng = np.random.default_rng(height * 100 + width)
    largest = min(4, LARGEST_INTEGER_SUM // (height * width))
    weights = rng.integers(1, largest + 1, (height, width)) * rng.choice((-1, 1), (height, width))
    return Kernel(f"{height}x{width} int", weights.astype(np.int32), "dense")


def gaussian(taps: int) -> Kernel:
    """exp(-x^2 / (2 sigma^2)), normalised to sum 1, as a two-dimensional kernel in float64."""
    sigma = GAUSSIANS[taps]
    line = np.exp(-((np.arange(taps) - taps // 2) ** 2) / (2 * sigma**2))
    line /= line.sum()
    return Kernel(f"gaussian {taps}", np.outer(line, line), "gaussian", (line, line), sigma)


def _integers(name: str, weights: list[list[int]], factors: tuple[list[int], list[int]] | None = None) -> Kernel:
    lines = None if factors is None else (np.array(factors[0], np.float64), np.array(factors[1], np.float64))
    return Kernel(name, np.array(weights, np.int32), name, lines)


DIFFERENCE = Kernel("[1,-1]", np.array([[1, -1]], np.int32), "difference")
SOBEL_X = _integers("sobel-x", [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], ([1, 2, 1], [-1, 0, 1]))
LAPLACE = _integers("laplace", [[0, 1, 0], [1, -4, 1], [0, 1, 0]])


def kernels(source: str, result: str) -> list[Kernel]:
    """The kernels that are measured for a type pair."""
    named = [DIFFERENCE, SOBEL_X, LAPLACE]
    floats = [dense(*size) for size in DENSE]
    integers = [dense_integers(*size) for size in DENSE]
    smooth = [gaussian(taps) for taps in GAUSSIANS]
    if result == "int16":
        return integers + named
    if (source, result) == ("u8", "u8"):
        return floats + integers + named + smooth
    return floats + named + smooth


def full(shapes: Iterable[tuple[int, ...]] = SHAPES) -> list[Row]:
    """Every kernel of every type pair on every shape."""
    return [Row(k, shape, *pair) for shape in shapes for pair in PAIRS for k in kernels(*pair)]


def large(shapes: Iterable[tuple[int, ...]] = LARGE_SHAPES, sides: Iterable[int] = LARGE) -> list[Row]:
    """Every large dense kernel, of floats, on every shape."""
    return [Row(dense(k, k), shape, *pair) for shape in shapes for pair in LARGE_PAIRS for k in sides]


QUICK_LARGE: dict[str, dict[str, tuple[str, ...]]] = {
    "512x512": {"f32->f32": ("15x15", "63x63"), "u8->u8": ("31x31",)},
    "1080x1920": {
        "f32->f32": ("11x11", "15x15", "31x31", "63x63"),
        "u8->u8": ("15x15", "31x31"),
        "u8->f32": ("31x31",),
    },
    "4096x4096": {"f32->f32": ("31x31",)},
}
QUICK = {
    "512x512": {"f32->f32": ("3x3", "7x7", "gaussian 5"), "u8->u8": ("3x3",), "u8->int16": ("sobel-x",)},
    "1080x1920": {
        "f32->f32": ("1x2", "3x3", "5x5", "7x7", "[1,-1]", "sobel-x", "laplace", "gaussian 5", "gaussian 15"),
        "u8->u8": ("3x3", "5x5", "gaussian 5", "gaussian 15"),
        "u8->int16": ("3x3 int", "[1,-1]", "sobel-x", "laplace"),
        "u8->f32": ("3x3",),
    },
    "4096x4096": {"f32->f32": ("[1,-1]", "3x3", "gaussian 5"), "u8->int16": ("sobel-x",)},
    "1080x1920x3": {"f32->f32": ("3x3",), "u8->u8": ("5x5", "gaussian 5")},
}


def quick() -> list[Row]:
    """A subset that shows every size, type pair and kind of kernel in about a minute."""
    return [row for row in full() if row.kernel.name in QUICK[row.image_name].get(row.types, ())]


def quick_large() -> list[Row]:
    """Some of large(): every size and type pair, most of them at 1080 x 1920."""
    return [row for row in large() if row.kernel.name in QUICK_LARGE[row.image_name].get(row.types, ())]
