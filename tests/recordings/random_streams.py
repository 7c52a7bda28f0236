"""What MXNet 1.9.1 draws at random, for every case of `cases`: shapes, dtypes, a digest of all bits, the first values.

    python random_streams.py mxnet_random.json      under Python 3.10 with mxnet 1.9.1 and numpy below 1.24

A case is one expression, which gives an array or a list of arrays; it begins with a seed.
"""

import hashlib
import json
import os
import random
import sys
from pathlib import Path

SIZES = (1, 2, 9, 63, 64, 65, 127, 128, 129, 150, 840, 2400, 11616, 48000, 65535, 65536, 65537, 66560, 100000, 614400)
LARGE = 1_000_001
SEEDS = (0, 1, 2, 42, 123, 2**31 - 1, 2**31, 2**32 - 1, 33818640, -1)
DTYPES = ("float32", "float64", "float16")


def cases():
    """Expressions, each with the seed it begins with."""
    yield from ((0, code) for code in plain())
    for number, size in enumerate((*SIZES, LARGE)):
        for place, dtype in enumerate(DTYPES):
            seed = SEEDS[(number + 3 * place) % len(SEEDS)]
            yield seed, f"nd.random.uniform(shape={size}, dtype={dtype!r})"
            yield seed, f"nd.random.uniform(-0.07, 0.07, shape=({size},), dtype={dtype!r})"
            if dtype == "float32" or size <= 100_000:
                yield seed, f"nd.random.normal(shape={size}, dtype={dtype!r})"
    for number, one in enumerate(initializers()):
        for shape in ((1, 1, 1, 2), (64, 32, 3, 3), (10, 84)):
            yield SEEDS[number % len(SEEDS)], f"filled(init.{one}, {shape})"
    for number, layer in enumerate(layers()):
        yield SEEDS[number % len(SEEDS)], f"weights({layer})"
    yield from ((seed, code) for seed in SEEDS for code in chains(seed))


def plain():
    """Draws of every kind there is."""
    for low, high in ((-1 / 3, 2 / 3), (0, 1e-5), (1.5e-38, 3.4e38), (2**0.5, 3**0.5), (-1e8, 123456789.125), (3, 3)):
        yield f"nd.random.uniform({low!r}, {high!r}, shape=(3, 50, 7))"
        yield f"nd.random.uniform({low!r}, {high!r}, shape=1000, dtype='float64')"
    for loc, scale in ((0, 0.01), (1 / 3, 2**0.5), (-5, 1e-4), (1e6, 3)):
        yield f"nd.random.normal({loc!r}, {scale!r}, shape=(3, 50, 7))"
        yield f"nd.random_normal(shape=(20, 30), loc={loc!r}, scale={scale!r})"
    for scale in (1, 0.25, 7):
        yield f"nd.random.exponential({scale!r}, shape=(70, 3))"
    yield "nd.random.randn(4, 5)"
    yield "nd.random.normal_like(nd.zeros((4, 5)))"
    yield "nd.random.uniform(nd.array([0, 10, -1]), nd.array([1, 20, 1]))"
    yield "nd.random.uniform(nd.array([0, 10, -1]), nd.array([1, 20, 1]), shape=(50, 4))"
    yield "nd.random.normal(nd.array([[0, 10], [-1, 1]]), nd.array([[1, 20], [1, 0.5]]), shape=40)"
    for low, high in ((0, 10), (-5, 10), (0, 2**31 - 1), (-(2**30), 2**30)):
        yield f"nd.random.randint({low}, {high}, shape=(90, 3))"
        yield f"nd.random.randint({low}, {high}, shape=(90, 3), dtype='int64')"
    for size in (1, 2, 5, 100, 5000):
        yield f"nd.shuffle(nd.arange({size}))"
        yield f"nd.random.shuffle(nd.arange({2 * size}).reshape(({size}, 2)))"
    yield "nd.random.multinomial(nd.array([0.2, 0.3, 0.5]), shape=100)"
    yield "nd.random.multinomial(nd.array([[0.2, 0.3, 0.5], [0.9, 0.1, 0]]), shape=(4, 5))"
    for p in (0.1, 0.3, 0.5, 0.75, 1 / 3):
        for shape in ((20,), (256, 84), (8, 16, 13, 13)):
            yield f"nd.Dropout(nd.ones({shape}), p={p!r}, mode='always')"
        yield f"nd.Dropout(nd.ones((300, 7), dtype='float64'), p={p!r}, mode='always')"
        yield f"nd.Dropout(nd.ones((300, 7), dtype='float16'), p={p!r}, mode='always')"
        yield f"nd.Dropout(nd.ones((30, 7, 5)), p={p!r}, mode='always', axes=(1, 2))"


def initializers():
    """Of every kind, with several arguments."""
    yield from ("Uniform()", "Uniform(0.3)", "Normal()", "Normal(0.2)", "Constant(2.5)", "One()", "Zero()")
    yield from ("MSRAPrelu()", "MSRAPrelu('in', 0)", "MSRAPrelu('out', 0.1)")
    for kind in ("uniform", "gaussian"):
        for factor in ("in", "out", "avg"):
            for magnitude in (3, 2, 2.34, 24):
                yield f"Xavier({kind!r}, {factor!r}, {magnitude})"


def layers():
    """Layers whose shapes are known from the beginning or only from the first image, and what they begin with."""
    for begin in ("", ", init.Xavier()", ", init.Normal(0.01)", ", init.MSRAPrelu()"):
        yield f"nn.Conv2D(6, 5, in_channels=3), None{begin}"
        yield f"nn.Conv2D(6, 5), (2, 3, 8, 8){begin}"
        yield f"nn.Dense(10), (4, 3, 9){begin}"
        yield f"nn.Conv2DTranspose(4, 3), (2, 3, 8, 8){begin}"
        yield f"nn.Conv1D(4, 3), (2, 3, 8){begin}"
        yield f"nn.Conv3D(4, 3), (2, 3, 5, 5, 5){begin}"
        yield f"stacked(), (2, 3, 12, 12){begin}"


def chains(seed):
    """Many draws from one state, one after another."""
    dice = random.Random(seed)
    draws = []
    for _ in range(30):
        shape = tuple(dice.randint(1, 40) for _ in range(dice.randint(1, 3)))
        kind = dice.choice(("uniform", "uniform", "normal"))
        dtype = dice.choice(DTYPES)
        draws.append(f"nd.random.{kind}({dice.uniform(-1, 0)!r}, {dice.uniform(0.1, 3)!r}, {shape}, {dtype!r})")
    yield f"[{', '.join(draws[:15])}]"
    yield f"[{', '.join(draws[15:])}]"


def space(mx):
    """What an expression may use, of ``mx``: MXNet, or a door that answers for it."""
    nd, init, nn = mx.nd, mx.init, mx.gluon.nn

    def filled(one, shape):
        found = nd.zeros(shape)
        one(init.InitDesc("weight", {"__init__": one}), found)
        return found

    def weights(net, shape, begin=None):
        net.initialize() if begin is None else net.initialize(begin)
        if shape is not None:
            net(nd.ones(shape))
        return [one.data() for one in net.collect_params().values()]

    def stacked():
        net = nn.Sequential()
        net.add(nn.Conv2D(8, 3, activation="relu"), nn.BatchNorm(), nn.MaxPool2D(2), nn.Dense(16), nn.Dense(4))
        return net

    return {"mx": mx, "nd": nd, "init": init, "nn": nn, "filled": filled, "weights": weights, "stacked": stacked}


def answer(seed, code, names):
    """Of every array: shape, dtype, first values; and one digest of all of them."""
    names["mx"].random.seed(seed)
    found = eval(code, dict(names))
    names["nd"].waitall()  # oneDNN may hold weights in an order of its own until then
    arrays = [one.asnumpy() for one in (found if isinstance(found, list) else [found])]
    digest = hashlib.sha256()
    for one in arrays:
        digest.update(one.tobytes())
    return {
        "shapes": [list(one.shape) for one in arrays],
        "dtypes": [one.dtype.name for one in arrays],
        "first": [float(value) for value in arrays[0].reshape(-1)[:3]],
        "sha256": digest.hexdigest(),
    }


def main(target):
    """Records all cases."""
    os.environ.update(MXNET_MKLDNN_ENABLED="0", MXNET_STORAGE_FALLBACK_LOG_VERBOSE="0")
    import mxnet

    names = space(mxnet)
    found = [{"seed": seed, "code": code, **answer(seed, code, names)} for seed, code in cases()]
    lines = ",\n".join(json.dumps(one) for one in found)
    Path(target).write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    print(f"{len(found)} cases")


if __name__ == "__main__":
    main(*sys.argv[1:])
