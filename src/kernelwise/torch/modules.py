"""Layers that take the place of torch.nn's: the same arguments, parameters and state_dict."""

from __future__ import annotations

from torch import Tensor, nn

from . import functional

__all__ = [
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
    "LazyConv1d",
    "LazyConv2d",
    "LazyConv3d",
    "LazyConvTranspose1d",
    "LazyConvTranspose2d",
    "LazyConvTranspose3d",
]


class _Forward(nn.modules.conv._ConvNd):
    """What a convolution layer does when it is called."""

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if self.padding_mode != "zeros":
            return functional.convolve_bordered(
                input,
                weight,
                bias,
                self.stride,
                self.padding,
                self.dilation,
                self.groups,
                self.padding_mode,
                self._reversed_padding_repeated_twice,
            )
        convolve = functional.NAMED[len(self.kernel_size)]
        return convolve(input, weight, bias, self.stride, self.padding, self.dilation, self.groups)


class _Transposed(nn.modules.conv._ConvTransposeNd):
    """What a transposed convolution layer does when it is called."""

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """The transposed convolution of (n, c, ...) or (c, ...); ``output_size`` chooses among the sizes possible."""
        if self.padding_mode != "zeros":
            raise ValueError(f"Only `zeros` padding mode is supported for {type(self).__name__}")
        axes = len(self.kernel_size)
        extra = self._output_padding(
            input, output_size, self.stride, self.padding, self.kernel_size, axes, self.dilation
        )
        transpose = functional.NAMED_TRANSPOSED[axes]
        return transpose(input, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation)


class Conv1d(_Forward, nn.Conv1d):
    """torch.nn.Conv1d on kernelwise: the same arguments, parameters and state_dict."""


class Conv2d(_Forward, nn.Conv2d):
    """torch.nn.Conv2d on kernelwise: the same arguments, parameters and state_dict.

    >>> import torch
    >>> layer = Conv2d(3, 8, kernel_size=3, padding="same")
    >>> layer(torch.zeros(1, 3, 10, 12)).shape
    torch.Size([1, 8, 10, 12])
    """


class Conv3d(_Forward, nn.Conv3d):
    """torch.nn.Conv3d on kernelwise: the same arguments, parameters and state_dict."""


class ConvTranspose1d(_Transposed, nn.ConvTranspose1d):
    """torch.nn.ConvTranspose1d on kernelwise: the same arguments, parameters and state_dict."""


class ConvTranspose2d(_Transposed, nn.ConvTranspose2d):
    """torch.nn.ConvTranspose2d on kernelwise: the same arguments, parameters and state_dict."""


class ConvTranspose3d(_Transposed, nn.ConvTranspose3d):
    """torch.nn.ConvTranspose3d on kernelwise: the same arguments, parameters and state_dict."""


class LazyConv1d(Conv1d, nn.LazyConv1d):
    """torch.nn.LazyConv1d on kernelwise: finds its input channels at the first call, then is a Conv1d."""

    cls_to_become = Conv1d


class LazyConv2d(Conv2d, nn.LazyConv2d):
    """torch.nn.LazyConv2d on kernelwise: finds its input channels at the first call, then is a Conv2d."""

    cls_to_become = Conv2d


class LazyConv3d(Conv3d, nn.LazyConv3d):
    """torch.nn.LazyConv3d on kernelwise: finds its input channels at the first call, then is a Conv3d."""

    cls_to_become = Conv3d


class LazyConvTranspose1d(ConvTranspose1d, nn.LazyConvTranspose1d):
    """torch.nn.LazyConvTranspose1d on kernelwise: finds its input channels at the first call."""

    cls_to_become = ConvTranspose1d


class LazyConvTranspose2d(ConvTranspose2d, nn.LazyConvTranspose2d):
    """torch.nn.LazyConvTranspose2d on kernelwise: finds its input channels at the first call."""

    cls_to_become = ConvTranspose2d


class LazyConvTranspose3d(ConvTranspose3d, nn.LazyConvTranspose3d):
    """torch.nn.LazyConvTranspose3d on kernelwise: finds its input channels at the first call."""

    cls_to_become = ConvTranspose3d
