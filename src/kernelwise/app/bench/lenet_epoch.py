"""Trains LeNet by MXNet's names, an epoch for every line that is read. A process of its own for mxnet_training.py.

    python lenet_epoch.py MODULE IMAGES BATCH      MODULE: mxnet, or kernelwise.mxnet

Writes a line of JSON when it is ready, and one after every epoch: its seconds, its processor time, its mean loss. Needs
nothing but MODULE and NumPy, and runs on Python 3.8, as MXNet does.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from typing import Any

import numpy as np


def lenet(nn: Any) -> Any:
    """LeNet (LeCun et al. 1998), for images of 28 x 28 pixels."""
    net = nn.Sequential()
    net.add(
        nn.Conv2D(channels=6, kernel_size=5, padding=2, activation="sigmoid"),
        nn.AvgPool2D(pool_size=2, strides=2),
        nn.Conv2D(channels=16, kernel_size=5, activation="sigmoid"),
        nn.AvgPool2D(pool_size=2, strides=2),
        nn.Dense(120, activation="sigmoid"),
        nn.Dense(84, activation="sigmoid"),
        nn.Dense(10),
    )
    return net


def batches(nd: Any, count: int, size: int) -> list[Any]:
    """Images at random, and labels that depend on them: the lighter half, in ten steps."""
    rng = np.random.RandomState(0)
    images = rng.rand(count, 1, 28, 28).astype(np.float32)
    labels = np.floor(10 * images[:, 0, :14].mean(axis=(1, 2)) % 1 * 10).astype(np.float32)
    parts = [slice(first, first + size) for first in range(0, count, size)]
    return [(nd.array(images[part]), nd.array(labels[part])) for part in parts]


def main(module: str, count: int, size: int) -> None:
    """Epoch by epoch, until nothing more is read."""
    mx = importlib.import_module(module)
    gluon = importlib.import_module(module + ".gluon")
    data = batches(mx.nd, count, size)
    net = lenet(gluon.nn)
    net.initialize(mx.init.Xavier())
    trainer = gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 0.9})
    entropy = gluon.loss.SoftmaxCrossEntropyLoss()

    def epoch() -> float:
        total = 0.0
        for x, y in data:
            with mx.autograd.record():
                loss = entropy(net(x), y).sum()
            loss.backward()
            trainer.step(len(x))
            total += float(loss.asscalar())
        mx.nd.waitall()
        return total / count

    print(json.dumps({"version": mx.__version__, "loss": epoch()}), flush=True)
    for _ in sys.stdin:
        start, work = time.perf_counter(), time.process_time()
        loss = epoch()
        times = {"seconds": time.perf_counter() - start, "work": time.process_time() - work}
        print(json.dumps({**times, "loss": loss}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
