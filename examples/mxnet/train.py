"""Trains a network of networks.py on handwritten digits, with MXNet's own names throughout.

    python -m kernelwise.mxnet train.py lenet --epochs 5

The digits are scikit-learn's, 1,797 images of 8 x 8 pixels, made larger to what the network needs. Nothing sets a seed:
MXNet's is 0 then, and its own numbers come out, here as there.
"""

import argparse
import gzip
import importlib.util
from pathlib import Path

import mxnet as mx
import numpy as np
from mxnet import autograd, gluon, init, nd
from mxnet.gluon import data as gdata
from networks import NETWORKS

TRAINING = 1500  # images; the others are tested on


def find():
    """The file of the digits, where scikit-learn keeps it."""
    spec = importlib.util.find_spec("sklearn")
    if spec is None:
        raise SystemExit("scikit-learn, which the digits come with, is not installed: name the file with --file")
    return Path(spec.submodule_search_locations[0]) / "datasets" / "data" / "digits.csv.gz"


def load(pixels, count=None, file=None):
    """Images (n, 1, pixels, pixels) of float32 from 0 to 1 and labels, NumPy arrays."""
    file = file or find()
    with gzip.open(file, "rt") as lines:
        table = np.loadtxt(lines, delimiter=",", dtype=np.float32)
    table = table[np.random.RandomState(0).permutation(len(table))[:count]]  # they are 0 to 9 again and again there
    images, labels = table[:, :-1].reshape(-1, 8, 8), table[:, -1].astype(np.int32)
    made = [mx.image.imresize(nd.array(one[:, :, None]), pixels, pixels).asnumpy() for one in images]
    return np.stack(made).transpose(0, 3, 1, 2) / 16, labels


def accuracy(net, batches):
    """Which part of the images is read rightly."""
    metric = mx.metric.Accuracy()
    for x, y in batches:
        metric.update([y], [net(x)])
    return metric.get()[1]


def train(net, images, labels, epochs=5, batch=256, rate=0.9, optimizer="sgd", training=TRAINING, start=None):
    """Trains; after every epoch gives its loss and the accuracies."""
    parts = slice(None, training), slice(training, None)
    first, rest = (gdata.ArrayDataset(nd.array(images[part]), labels[part].astype(np.float32)) for part in parts)
    batches, tests = gdata.DataLoader(first, batch), gdata.DataLoader(rest, batch)
    net.initialize(start or init.Xavier())
    trainer = gluon.Trainer(net.collect_params(), optimizer, {"learning_rate": rate})
    entropy = gluon.loss.SoftmaxCrossEntropyLoss()
    for _ in range(epochs):
        total, right = 0.0, 0.0
        for x, y in batches:
            with autograd.record():
                found = net(x)
                loss = entropy(found, y).sum()
            loss.backward()
            trainer.step(len(x))
            total += loss.asscalar()
            right += (found.argmax(axis=1) == y).sum().asscalar()
        yield total / len(first), right / len(first), accuracy(net, tests) if len(rest) else float("nan")


def main():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", choices=NETWORKS)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--narrow", type=int, default=1, help="numbers of channels are divided by this")
    parser.add_argument("--rate", type=float)
    parser.add_argument("--optimizer", default="sgd", choices=("sgd", "adam"))
    parser.add_argument("--file", help="digits.csv.gz, where scikit-learn is not installed")
    options = parser.parse_args()
    make, pixels, rate = NETWORKS[options.network]
    net = make() if options.narrow == 1 else make(options.narrow)
    images, labels = load(pixels, file=options.file)
    steps = train(net, images, labels, options.epochs, options.batch, options.rate or rate, options.optimizer)
    for epoch, (loss, right, tested) in enumerate(steps, 1):
        print(f"epoch {epoch}, loss {loss:.4f}, train acc {right:.3f}, test acc {tested:.3f}", flush=True)


if __name__ == "__main__":
    main()
