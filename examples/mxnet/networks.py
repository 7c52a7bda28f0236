"""The networks of the usual chapters on convolution, written for MXNet, from LeNet to DenseNet.

``python -m kernelwise.mxnet train.py NAME`` trains one on handwritten digits. Every function takes ``narrow``, by
which all numbers of channels are divided: 1 is the network of the paper, 8 one for small images and little time.
"""

from mxnet import autograd, init, nd
from mxnet.gluon import nn


def corr2d(x, k):
    """The cross-correlation of a matrix with a kernel, number by number."""
    h, w = k.shape
    y = nd.zeros((x.shape[0] - h + 1, x.shape[1] - w + 1))
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            y[i, j] = (x[i : i + h, j : j + w] * k).sum()
    return y


class OwnConv2D(nn.Block):
    """A layer of one's own: a kernel and a bias."""

    def __init__(self, kernel_size, **kwargs):
        super().__init__(**kwargs)
        self.weight = self.params.get("weight", shape=kernel_size)
        self.bias = self.params.get("bias", shape=(1,))

    def forward(self, x):
        """One image, a matrix."""
        return corr2d(x, self.weight.data()) + self.bias.data()


class OwnBatchNorm(nn.Block):
    """Batch norm of one's own, for matrices and images: running means are kept by hand."""

    def __init__(self, channels, axes, momentum=0.9, epsilon=1e-5, **kwargs):
        super().__init__(**kwargs)
        shape = (1, channels) if axes == 2 else (1, channels, 1, 1)
        self.over = 0 if axes == 2 else (0, 2, 3)
        self.momentum, self.epsilon = momentum, epsilon
        self.gamma = self.params.get("gamma", shape=shape, init=init.One())
        self.beta = self.params.get("beta", shape=shape, init=init.Zero())
        self.running_mean, self.running_var = nd.zeros(shape), nd.ones(shape)

    def forward(self, x):
        """Of mean 0 and variance 1 in every channel, times gamma plus beta."""
        if autograd.is_training():
            mean = x.mean(axis=self.over, keepdims=True)
            var = ((x - mean) ** 2).mean(axis=self.over, keepdims=True)
            with autograd.pause():
                self.running_mean = self.momentum * self.running_mean + (1 - self.momentum) * mean.detach()
                self.running_var = self.momentum * self.running_var + (1 - self.momentum) * var.detach()
        else:
            mean, var = self.running_mean, self.running_var
        return (x - mean) / nd.sqrt(var + self.epsilon) * self.gamma.data() + self.beta.data()


def padding(narrow=1):
    """Layers whose output is as large as their input, and ones that halve it, by padding and strides."""
    net = nn.Sequential()
    net.add(
        nn.Conv2D(16 // narrow, kernel_size=3, padding=1, activation="relu"),
        nn.Conv2D(16 // narrow, kernel_size=(5, 3), padding=(2, 1), activation="relu"),
        nn.Conv2D(16 // narrow, kernel_size=3, padding=1, strides=2, activation="relu"),
        nn.Conv2D(16 // narrow, kernel_size=(3, 5), padding=(0, 1), strides=(3, 4), activation="relu"),
        nn.Dense(10),
    )
    return net


def channels(narrow=1):
    """1 x 1 layers between others: they mix channels alone."""
    net = nn.Sequential()
    for n in (32, 16, 64):
        net.add(nn.Conv2D(n // narrow, 3, padding=1, activation="relu"), nn.Conv2D(n // narrow, 1, activation="relu"))
    net.add(nn.GlobalAvgPool2D(), nn.Flatten(), nn.Dense(10))
    return net


def pooling(narrow=1):
    """Largest and mean numbers of windows, of several shapes."""
    net = nn.Sequential()
    net.add(
        nn.Conv2D(16 // narrow, 3, padding=1, activation="relu"),
        nn.MaxPool2D(3, padding=1, strides=2),
        nn.Conv2D(32 // narrow, 3, padding=1, activation="relu"),
        nn.AvgPool2D((2, 3), strides=(2, 3), padding=(1, 2)),
        nn.Dense(10),
    )
    return net


def lenet(narrow=1):
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


def batch_norm(narrow=1):
    """LeNet with batch norm before every activation."""
    net = nn.Sequential()
    for n, kernel in ((6, 5), (16, 5)):
        net.add(nn.Conv2D(n, kernel), nn.BatchNorm(), nn.Activation("sigmoid"), nn.MaxPool2D(2, 2))
    for n in (120, 84):
        net.add(nn.Dense(n), nn.BatchNorm(), nn.Activation("sigmoid"))
    net.add(nn.Dense(10))
    return net


def own_batch_norm(narrow=1):
    """`batch_norm` with `OwnBatchNorm`."""
    net = nn.Sequential()
    for n, kernel in ((6, 5), (16, 5)):
        net.add(nn.Conv2D(n, kernel), OwnBatchNorm(n, 4), nn.Activation("sigmoid"), nn.MaxPool2D(2, 2))
    for n in (120, 84):
        net.add(nn.Dense(n), OwnBatchNorm(n, 2), nn.Activation("sigmoid"))
    net.add(nn.Dense(10))
    return net


def alexnet(narrow=1):
    """AlexNet (Krizhevsky et al. 2012), for images of 96 x 96 pixels or more."""
    net = nn.Sequential()
    net.add(
        nn.Conv2D(96 // narrow, kernel_size=11, strides=4, activation="relu"),
        nn.MaxPool2D(pool_size=3, strides=2),
        nn.Conv2D(256 // narrow, kernel_size=5, padding=2, activation="relu"),
        nn.MaxPool2D(pool_size=3, strides=2),
        nn.Conv2D(384 // narrow, kernel_size=3, padding=1, activation="relu"),
        nn.Conv2D(384 // narrow, kernel_size=3, padding=1, activation="relu"),
        nn.Conv2D(256 // narrow, kernel_size=3, padding=1, activation="relu"),
        nn.MaxPool2D(pool_size=3, strides=2),
    )
    for _ in range(2):
        net.add(nn.Dense(4096 // narrow, activation="relu"), nn.Dropout(0.5))
    net.add(nn.Dense(10))
    return net


def vgg(narrow=1, blocks=((1, 64), (1, 128), (2, 256), (2, 512), (2, 512))):
    """VGG-11 (Simonyan and Zisserman 2014), for images of 32 x 32 pixels or more."""
    net = nn.Sequential()
    for layers, n in blocks:
        for _ in range(layers):
            net.add(nn.Conv2D(n // narrow, kernel_size=3, padding=1, activation="relu"))
        net.add(nn.MaxPool2D(pool_size=2, strides=2))
    for _ in range(2):
        net.add(nn.Dense(4096 // narrow, activation="relu"), nn.Dropout(0.5))
    net.add(nn.Dense(10))
    return net


def nin(narrow=1):
    """Network in network (Lin et al. 2013), for images of 96 x 96 pixels or more."""
    net = nn.Sequential()

    def block(n, *args):
        net.add(nn.Conv2D(n, *args, activation="relu"))
        net.add(nn.Conv2D(n, kernel_size=1, activation="relu"), nn.Conv2D(n, kernel_size=1, activation="relu"))

    for args in ((96 // narrow, 11, 4, 0), (256 // narrow, 5, 1, 2), (384 // narrow, 3, 1, 1)):
        block(*args)
        net.add(nn.MaxPool2D(pool_size=3, strides=2))
    net.add(nn.Dropout(0.5))
    block(10, 3, 1, 1)
    net.add(nn.GlobalAvgPool2D(), nn.Flatten())
    return net


class Inception(nn.Block):
    """Four ways side by side, their channels joined: 1 x 1, 3 x 3, 5 x 5, and pooling."""

    def __init__(self, one, three, five, pooled, **kwargs):
        super().__init__(**kwargs)
        self.one = nn.Conv2D(one, kernel_size=1, activation="relu")
        self.three, self.five, self.pooled = nn.Sequential(), nn.Sequential(), nn.Sequential()
        self.three.add(nn.Conv2D(three[0], kernel_size=1, activation="relu"))
        self.three.add(nn.Conv2D(three[1], kernel_size=3, padding=1, activation="relu"))
        self.five.add(nn.Conv2D(five[0], kernel_size=1, activation="relu"))
        self.five.add(nn.Conv2D(five[1], kernel_size=5, padding=2, activation="relu"))
        self.pooled.add(nn.MaxPool2D(pool_size=3, strides=1, padding=1))
        self.pooled.add(nn.Conv2D(pooled, kernel_size=1, activation="relu"))

    def forward(self, x):
        """Images of one + three[1] + five[1] + pooled channels."""
        return nd.concat(self.one(x), self.three(x), self.five(x), self.pooled(x), dim=1)


STAGES = (
    ((64, (96, 128), (16, 32), 32), (128, (128, 192), (32, 96), 64)),
    (
        (192, (96, 208), (16, 48), 64),
        (160, (112, 224), (24, 64), 64),
        (128, (128, 256), (24, 64), 64),
        (112, (144, 288), (32, 64), 64),
        (256, (160, 320), (32, 128), 128),
    ),
    ((256, (160, 320), (32, 128), 128), (384, (192, 384), (48, 128), 128)),
)


def googlenet(narrow=1, stages=STAGES):
    """GoogLeNet (Szegedy et al. 2014), for images of 32 x 32 pixels or more."""
    net = nn.Sequential()
    net.add(
        nn.Conv2D(64 // narrow, kernel_size=7, strides=2, padding=3, activation="relu"),
        nn.MaxPool2D(pool_size=3, strides=2, padding=1),
        nn.Conv2D(64 // narrow, kernel_size=1, activation="relu"),
        nn.Conv2D(192 // narrow, kernel_size=3, padding=1, activation="relu"),
    )
    for stage in stages:
        net.add(nn.MaxPool2D(pool_size=3, strides=2, padding=1))
        for one, three, five, pooled in stage:
            three, five = (tuple(n // narrow for n in pair) for pair in (three, five))
            net.add(Inception(one // narrow, three, five, pooled // narrow))
    net.add(nn.GlobalAvgPool2D(), nn.Dense(10))
    return net


class Residual(nn.Block):
    """Two layers, and their input added to what they make of it; through a 1 x 1 layer where shapes differ."""

    def __init__(self, n, change=False, strides=1, **kwargs):
        super().__init__(**kwargs)
        self.conv1 = nn.Conv2D(n, kernel_size=3, padding=1, strides=strides)
        self.conv2 = nn.Conv2D(n, kernel_size=3, padding=1)
        self.conv3 = nn.Conv2D(n, kernel_size=1, strides=strides) if change else None
        self.bn1, self.bn2 = nn.BatchNorm(), nn.BatchNorm()

    def forward(self, x):
        """Images of n channels."""
        y = self.bn2(self.conv2(nd.relu(self.bn1(self.conv1(x)))))
        return nd.relu(y + (x if self.conv3 is None else self.conv3(x)))


def resnet(narrow=1, blocks=2):
    """ResNet-18 (He et al. 2016), for images of 32 x 32 pixels or more."""
    net = nn.Sequential()
    net.add(
        nn.Conv2D(64 // narrow, kernel_size=7, strides=2, padding=3),
        nn.BatchNorm(),
        nn.Activation("relu"),
        nn.MaxPool2D(pool_size=3, strides=2, padding=1),
    )
    for stage, n in enumerate((64, 128, 256, 512)):
        for block in range(blocks):
            first = stage > 0 and block == 0
            net.add(Residual(n // narrow, change=first, strides=2 if first else 1))
    net.add(nn.GlobalAvgPool2D(), nn.Dense(10))
    return net


def _normed(n, kernel):
    """Batch norm, activation, layer: the order of DenseNet."""
    net = nn.Sequential()
    net.add(nn.BatchNorm(), nn.Activation("relu"), nn.Conv2D(n, kernel_size=kernel, padding=kernel // 2))
    return net


class Dense(nn.Block):
    """Layers of which each sees the channels of all before it."""

    def __init__(self, layers, growth, **kwargs):
        super().__init__(**kwargs)
        self.net = nn.Sequential()
        for _ in range(layers):
            self.net.add(_normed(growth, 3))

    def forward(self, x):
        """Images of layers * growth channels more."""
        for layer in self.net:
            x = nd.concat(x, layer(x), dim=1)
        return x


def densenet(narrow=1, layers=4):
    """DenseNet (Huang et al. 2017), for images of 32 x 32 pixels or more."""
    n, growth, blocks = 64 // narrow, 32 // narrow, 4
    net = nn.Sequential()
    net.add(
        nn.Conv2D(n, kernel_size=7, strides=2, padding=3),
        nn.BatchNorm(),
        nn.Activation("relu"),
        nn.MaxPool2D(pool_size=3, strides=2, padding=1),
    )
    for block in range(blocks):
        net.add(Dense(layers, growth))
        n += layers * growth
        if block < blocks - 1:
            n //= 2
            net.add(_normed(n, 1), nn.AvgPool2D(pool_size=2, strides=2))
    net.add(nn.BatchNorm(), nn.Activation("relu"), nn.GlobalAvgPool2D(), nn.Dense(10))
    return net


NETWORKS = {  # name: how to make it, pixels of the images, learning rate
    "padding": (padding, 28, 0.1),
    "channels": (channels, 28, 0.1),
    "pooling": (pooling, 28, 0.1),
    "lenet": (lenet, 28, 0.9),
    "batch_norm": (batch_norm, 28, 1.0),
    "own_batch_norm": (own_batch_norm, 28, 1.0),
    "alexnet": (alexnet, 96, 0.01),
    "vgg": (vgg, 32, 0.05),
    "nin": (nin, 96, 0.1),
    "googlenet": (googlenet, 32, 0.1),
    "resnet": (resnet, 32, 0.05),
    "densenet": (densenet, 32, 0.1),
}
