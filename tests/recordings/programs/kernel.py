"""A program for MXNet: an edge found by a kernel of two taps, and the kernel learned back from the edge."""

import sys

import mxnet as mx
from mxnet import autograd, gluon, nd
from mxnet.gluon import nn


def slide(image, kernel):
    """Cross-correlation, window by window."""
    rows, columns = image.shape[0] - kernel.shape[0] + 1, image.shape[1] - kernel.shape[1] + 1
    result = nd.zeros((rows, columns))
    for row in range(rows):
        for column in range(columns):
            window = image[row : row + kernel.shape[0], column : column + kernel.shape[1]]
            result[row, column] = (window * kernel).sum()
    return result


class Slide(nn.Block):
    """A layer of one kernel and one bias."""

    def __init__(self, kernel_size, **kwargs):
        super().__init__(**kwargs)
        self.kernel = self.params.get("kernel", shape=kernel_size)
        self.bias = self.params.get("bias", shape=(1,))

    def forward(self, image):
        return slide(image, self.kernel.data()) + self.bias.data()


numbers = nd.arange(12).reshape((3, 4))
print("windows", slide(numbers, nd.array([[1, 0], [0, -1]])))

layer = Slide((2, 2))
layer.initialize()
print("a layer of one's own", layer, layer.collect_params(), layer(numbers))

image = nd.zeros((5, 9))
image[1:4, 3:7] = 1
edge = slide(image, nd.array([[-1, 1]]))
print("image and edges", image, edge, "across", slide(image.T, nd.array([[-1, 1]])))

network = nn.Conv2D(1, kernel_size=(1, 2), use_bias=False)
network.initialize(mx.init.Uniform(0.5))
x, y = image.reshape((1, 1, 5, 9)), edge.reshape((1, 1, 5, 8))
for step in range(int(sys.argv[1])):
    with autograd.record():
        loss = ((network(x) - y) ** 2).sum()
    loss.backward()
    network.weight.data()[:] -= 2e-2 * network.weight.grad()
    if step % 5 == 0:
        length = network.weight.data().norm().asscalar()
        print("step %d, loss %.4f, length %.4f" % (step, loss.asscalar(), length))  # noqa: UP031  as programs of its time
print("learned", network, network.weight, network.weight.data().reshape((1, 2)))
try:
    network(image)
except gluon.parameter.DeferredInitializationError as error:
    print(error)
except mx.base.MXNetError as error:
    print("refused:", "Input data should be 4D" in str(error))
