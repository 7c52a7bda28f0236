"""Convolution layers beside the engines that run them: forward, forward and backward together, weight gradients.

All in float32. Everybody's error is measured against the definition in float64 before anything is timed, and reported.
Ours is `kw.PreparedConv`, whose weights are packed before, with a result made before. Other ways of ours are timed
beside it, for the JSON: "kernelwise exact" never uses Winograd's algorithm, "kernelwise conv" is `kw.conv` with out=,
which packs weights in every call, "kernelwise channels_last" the prepared layer in that layout. Engines:
rivals/engines/. Gradients: layer_gradients.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from types import ModuleType

import numpy as np

import kernelwise as kw

from . import layer_truth, ours, rivals, timing
from .agree import Disagreement
from .comparison import Agree, Comparison, Prepared, Rival
from .layer_gradients import trained, weight_gradient
from .rivals.engines import ENGINES, Call, Layer
from .rivals.engines.quiet import quiet

SECTION = "layers"
FAST, EXACT = 5e-6, 1e-6  # errors that ours may have, in units of the largest output
LAYERS = (
    Layer(64, (56, 56), 64, 3),
    Layer(128, (28, 28), 128, 3),
    Layer(256, (14, 14), 256, 3),
    Layer(512, (7, 7), 512, 3),
    Layer(64, (112, 112), 128, 3),
    Layer(3, (224, 224), 64, 7, stride=2),
    Layer(256, (56, 56), 64, 1),
    Layer(1024, (14, 14), 256, 1),
    Layer(128, (56, 56), 128, 3, stride=2),
    Layer(32, (112, 112), 32, 3, groups=32),
    Layer(512, (14, 14), 512, 3, groups=512),
    Layer(1, (1080, 1920), 1, 5),
    Layer(3, (1080, 1920), 8, 3),
)
BATCHES = (1, 8)
MOST_RESULT = 256 << 20  # bytes, of a row: every contender keeps one
QUICK = (0, 3, 5, 6, 9, 12)  # of LAYERS, one image each
TRAINED = (LAYERS[0], LAYERS[2])
TRAINED_BATCH = 8
SLOPE_TAPS, SLOPE_SIDES = (5, 15, 31), (1024, 4096)

Way = Callable[[Layer], Call]


def rows(layers: Sequence[Layer] = LAYERS, batches: Sequence[int] = BATCHES) -> list[Comparison]:
    """Every layer with every number of images, then the gradients."""
    every = [replace(layer, images=n) for layer in layers for n in batches]
    found = [_row(layer) for layer in every if 4 * math.prod(layer.y_shape) <= MOST_RESULT]
    found += [trained(replace(layer, images=TRAINED_BATCH)) for layer in TRAINED]
    return found + [weight_gradient(side, taps) for side in SLOPE_SIDES for taps in SLOPE_TAPS]


def quick() -> list[Comparison]:
    """A handful of layers with one image, one to be trained, and the weight gradients of the smaller image."""
    found = [_row(LAYERS[i]) for i in QUICK]
    found.append(trained(replace(TRAINED[1], images=TRAINED_BATCH)))
    return found + [weight_gradient(SLOPE_SIDES[0], taps) for taps in SLOPE_TAPS]


def _row(layer: Layer) -> Comparison:
    kind = "depthwise " if layer.groups > 1 else ""
    what = f"{kind}{layer.taps}x{layer.taps}{'/2' if layer.stride > 1 else ''} to {layer.outputs} N={layer.images}"
    image = "x".join(map(str, layer.x_shape[1:]))
    return Comparison(SECTION, image, "f32->f32", what, lambda threads: prepare(layer, threads), layer.flops)


def prepare(layer: Layer, threads: int) -> Prepared:
    """Ours and everybody else's, with weights packed where they can be."""
    truth = layer_truth.known_forward(layer)
    layer = replace(layer)  # its arrays are made anew, and go when the row is done
    ways = list(_our_ways(layer, threads))
    others, left_out = _engines(layer, threads, truth)
    mine = ways[0]

    def call() -> np.ndarray:
        mine.run()
        return mine.fetch()

    extra = [
        Rival(w.name, "kernelwise", w.run, nearer_than(EXACT if "exact" in w.name else FAST, truth), fetch=w.fetch)
        for w in ways[1:]
    ]
    fast, error = nearer_than(FAST, truth), lambda got: layer_truth.relative_error(got, truth)
    return Prepared(call, lambda got: fast(got, got), [*extra, *others], error, left_out)


def nearer_than(allowed: float, truth: np.ndarray) -> Agree:
    """The second result lies so near the truth, in units of its largest value."""

    def agree(_: np.ndarray, got: np.ndarray) -> None:
        error = layer_truth.relative_error(got, truth)
        if not error <= allowed:
            raise Disagreement(f"error {error:.2g} of the largest value ({allowed:g} allowed)")

    return agree


def _engines(layer: Layer, threads: int, truth: np.ndarray) -> tuple[list[Rival], dict[str, str]]:
    """What engines make of the layer; one that raises an error is left out and named."""
    found: list[Rival] = []
    left_out: dict[str, str] = {}
    for engine in ENGINES:
        if not rivals.is_installed(engine.MODULE):
            left_out[engine.NAME] = rivals.NOT_INSTALLED
            continue
        try:
            with quiet():
                calls = list(engine.calls(layer, threads))
                for call in calls:
                    call.run()
            found += [_rival(engine, call, truth) for call in calls]
        except Exception as error:  # a version that cannot do this: no reason to fail, but to be told
            left_out[engine.NAME] = f"{type(error).__name__}: {error}".strip().splitlines()[0]
    return found, left_out


def _rival(engine: ModuleType, call: Call, truth: np.ndarray) -> Rival:
    agree = nearer_than(engine.ERROR, truth)
    return Rival(call.name, engine.MODULE, call.run, agree, fetch=call.fetch, spins=timing.POOL)


def _our_ways(layer: Layer, threads: int) -> Iterator[Call]:
    """First what the ratio is of, then the others."""
    yield _prepared(layer, threads, ours.NAME)
    yield _prepared(layer, threads, f"{ours.NAME} channels_last", last=True)
    yield _conv(layer, threads)
    if layer.taps == 3 and layer.stride == layer.groups == 1:
        yield _prepared(layer, threads, f"{ours.NAME} exact", "exact")


def _prepared(layer: Layer, threads: int, name: str, precision: str = "fast", last: bool = False) -> Call:
    """A layer whose weights are packed once, with its images and its result in either layout."""
    planned = kw.PreparedConv(
        layer.w, stride=layer.stride, padding=layer.padding, groups=layer.groups, precision=precision,
        layout="channels_last" if last else "channels_first", threads=threads,
    )  # fmt: skip
    x, shape = layer.x, layer.y_shape
    if last:
        x, shape = np.ascontiguousarray(x.transpose(0, 2, 3, 1)), (shape[0], *shape[2:], shape[1])
    out = np.empty(shape, np.float32)
    result = out.transpose(0, 3, 1, 2) if last else out
    return Call(name, lambda: planned(x, out), lambda: np.ascontiguousarray(result))


def _conv(layer: Layer, threads: int) -> Call:
    out = np.empty(layer.y_shape, np.float32)
    x, w = layer.x, layer.w
    step, side, groups = layer.stride, layer.padding, layer.groups

    def run() -> None:
        kw.conv(x, w, stride=step, padding=side, groups=groups, out=out, threads=threads)

    return Call(f"{ours.NAME} conv", run, lambda: out)
