"""Slopes of an image in one pass, beside OpenCV's best chain of calls: every chain anybody would write, all with dst=.

Sobel's 3x3 kernels, border reflect. A mask is true where |gx| + |gy| (L1) or the root of gx**2 + gy**2 (L2) is above a
threshold. The whole numbers of u8 images make every chain's mask the same to the last pixel; on floats a pixel whose
slope lies within rounding of the threshold may fall to either side.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kernelwise import edges

from .agree import Disagreement
from .comparison import Agree, Comparison, Prepared, Rival, within

SECTION = "gradients"
SHAPES = ((1080, 1920), (4096, 4096))
LEVEL = {"u8": 200.0, "f32": 0.78125}  # the threshold: below 255, so that OpenCV may add in 8 bits
WHITE = 255
NEAR = 1e-5  # of the threshold: floats nearer than that may fall to either side
ROUNDING = 2.0**-20  # of a magnitude, beside the largest that pixels as bright as these could have


@dataclass(frozen=True)
class Kind:
    """A row of the group: what comes in, what goes out, and how the two slopes are added."""

    source: str  # "u8" or "f32"
    norm: str  # "l1" or "l2"
    mask: bool  # or the magnitude itself, as f32

    @property
    def what(self) -> str:
        return f"{self.norm.upper()} {'> T mask' if self.mask else 'magnitude'}"

    @property
    def types(self) -> str:
        return f"{self.source}->{'u8' if self.mask else 'f32'}"


KINDS = (
    Kind("u8", "l1", True),
    Kind("u8", "l2", True),
    Kind("f32", "l2", True),
    Kind("f32", "l2", False),
    Kind("u8", "l2", False),
)


def rows(shapes: Sequence[tuple[int, int]] = SHAPES) -> list[Comparison]:
    """Every kind on every shape."""
    return [_row(kind, shape) for shape in shapes for kind in KINDS]


def quick() -> list[Comparison]:
    """All at 1080 x 1920, two at 4096 x 4096."""
    larger = [_row(kind, SHAPES[1]) for kind in KINDS if kind.norm == "l2" and kind.mask]
    return [*rows(SHAPES[:1]), *larger]


def picture(kind: str, shape: tuple[int, int]) -> np.ndarray:
    """Waves with noise, like a photograph: some slopes above the threshold, most below."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    noise = np.random.default_rng(7).normal(0, 6, shape).astype(np.float32)
    levels = np.clip(127 + 90 * np.sign(np.sin(x / 37) + np.sin(y / 23)) + noise, 0, 255)
    return levels.astype(np.uint8) if kind == "u8" else levels / np.float32(256)


def _row(kind: Kind, shape: tuple[int, int]) -> Comparison:
    def prepare(threads: int) -> Prepared:
        x = picture(kind.source, shape)
        exact = _by_definition(x, kind.norm)
        agree = _agreement(kind, exact, 8 * float(x.max()))
        return Prepared(
            _ours(x, kind, threads),
            lambda got: agree(got, _wanted(kind, exact)),
            [Rival(f"cv2 {name}", "cv2", call, agree) for name, call in _chains(x, kind)],
        )

    return Comparison(SECTION, "x".join(map(str, shape)), kind.types, kind.what, prepare)


def _by_definition(x: np.ndarray, norm: str) -> np.ndarray:
    """The magnitudes in float64, from slices."""
    p = np.pad(x.astype(np.float64), 1, mode="reflect")
    down = p[:-2] + 2 * p[1:-1] + p[2:]
    across = p[:, :-2] + 2 * p[:, 1:-1] + p[:, 2:]
    gx, gy = down[:, 2:] - down[:, :-2], across[2:] - across[:-2]
    return np.abs(gx) + np.abs(gy) if norm == "l1" else np.hypot(gx, gy)


def _wanted(kind: Kind, exact: np.ndarray) -> np.ndarray:
    if kind.mask:
        return exact > LEVEL[kind.source]
    return exact.astype(np.float32)


def _agreement(kind: Kind, exact: np.ndarray, largest: float) -> Agree:
    """How two results of this kind are compared; `largest` is the largest slope that there could be."""
    if not kind.mask:
        return within(ROUNDING * largest)
    level = LEVEL[kind.source]
    sure = np.abs(exact - level) > NEAR * level if kind.source == "f32" else True

    def agree(mine: np.ndarray, theirs: np.ndarray) -> None:
        wrong = (mine != (theirs != 0)) & sure
        if mine.shape != theirs.shape or wrong.any():
            raise Disagreement(f"{np.count_nonzero(wrong)} pixels of the mask differ")

    return agree


Chain = tuple[str, Callable[[], np.ndarray]]


def _chains(x: np.ndarray, kind: Kind) -> list[Chain]:
    """OpenCV's ways to the same result, by name; all write into arrays made before."""
    try:
        import cv2
    except ModuleNotFoundError:
        return []
    level: Any = LEVEL[kind.source]
    one: Any = 1.0
    border = cv2.BORDER_REFLECT_101
    floats: list[Any] = [np.empty(x.shape, np.float32) for _ in range(3)]
    shorts: list[Any] = [np.empty(x.shape, np.int16) for _ in range(2)]
    bytes_: list[Any] = [np.empty(x.shape, np.uint8) for _ in range(3)]
    mask: Any = np.empty(x.shape, np.uint8)

    def sobel(depth: int, into: Sequence[np.ndarray]) -> None:
        cv2.Sobel(x, depth, 1, 0, dst=into[0], ksize=3, borderType=border)
        cv2.Sobel(x, depth, 0, 1, dst=into[1], ksize=3, borderType=border)

    def short_slopes() -> None:
        cv2.spatialGradient(x, shorts[0], shorts[1], 3, border)

    def in_bytes(slopes: Callable[[], None]) -> np.ndarray:
        slopes()
        for short, byte in zip(shorts, bytes_, strict=False):
            cv2.convertScaleAbs(short, dst=byte)
        cv2.add(bytes_[0], bytes_[1], dst=bytes_[2])
        cv2.threshold(bytes_[2], level, WHITE, cv2.THRESH_BINARY, dst=mask)
        return mask

    def magnitude() -> np.ndarray:
        sobel(cv2.CV_32F, floats)
        cv2.magnitude(floats[0], floats[1], magnitude=floats[2])
        return floats[2]

    def compared() -> np.ndarray:
        cv2.compare(magnitude(), level, cv2.CMP_GT, dst=mask)
        return mask

    def widened() -> np.ndarray:
        short_slopes()
        for short, into in zip(shorts, floats, strict=False):
            cv2.multiply(short, one, dst=into, dtype=cv2.CV_32F)
        cv2.magnitude(floats[0], floats[1], magnitude=floats[2])
        return floats[2]

    def widened_compared() -> np.ndarray:
        cv2.compare(widened(), level, cv2.CMP_GT, dst=mask)
        return mask

    def squares(short: bool) -> np.ndarray:
        if short:
            short_slopes()
        else:
            sobel(cv2.CV_32F, floats)
        for slope, square in zip(shorts if short else floats, floats, strict=False):
            cv2.multiply(slope, slope, dst=square, dtype=cv2.CV_32F)
        cv2.add(floats[0], floats[1], dst=floats[2])
        return floats[2]

    def squares_compared(short: bool) -> np.ndarray:
        cv2.compare(squares(short), level * level, cv2.CMP_GT, dst=mask)
        return mask

    def root(short: bool) -> np.ndarray:
        cv2.sqrt(squares(short), dst=floats[2])
        return floats[2]

    if kind.norm == "l1":
        return [
            ("spatialGradient abs add", lambda: in_bytes(short_slopes)),
            ("Sobel abs add", lambda: in_bytes(lambda: sobel(cv2.CV_16S, shorts))),
        ]
    floating: list[Chain]
    integers: list[Chain]
    if kind.mask:
        floating = [("Sobel magnitude", compared), ("Sobel squares", lambda: squares_compared(False))]
        integers = [
            ("spatialGradient magnitude", widened_compared),
            ("spatialGradient squares", lambda: squares_compared(True)),
        ]
    else:
        floating = [("Sobel magnitude", magnitude), ("Sobel squares sqrt", lambda: root(False))]
        integers = [("spatialGradient magnitude", widened), ("spatialGradient sqrt", lambda: root(True))]
    return floating + integers if kind.source == "u8" else floating


def _ours(x: np.ndarray, kind: Kind, threads: int) -> Callable[[], np.ndarray]:
    above = LEVEL[kind.source] if kind.mask else None
    wanted = "mask" if kind.mask else "magnitude"
    out: np.ndarray = np.empty(x.shape, np.bool_ if kind.mask else np.float32)

    def call() -> np.ndarray:
        edges.gradient(x, "sobel", wanted=wanted, norm=kind.norm, above=above, out=out, threads=threads)
        return out

    return call
