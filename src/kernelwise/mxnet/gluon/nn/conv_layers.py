"""Convolutions as layers, of one to three spatial axes, and transposed ones."""

from __future__ import annotations

from typing import Any

from ...base import MXNetError, numeric_types
from ...ndarray.operators import listed
from ..block import HybridBlock
from .basic_layers import activation_of

LAYOUTS = {1: ("NCW", "NWC"), 2: ("NCHW", "NHWC"), 3: ("NCDHW", "NDHWC")}


def numbers(value: Any, spatial: int, name: str) -> tuple[int, ...]:
    """One number for each spatial axis. Raises AssertionError."""
    if isinstance(value, numeric_types):
        return (value,) * spatial  # type: ignore[return-value]
    if len(value) != spatial:
        plural = f"{spatial} ints" if spatial > 1 else "1 ints"
        raise AssertionError(f"{name} must be a number or a list of {plural}")
    return tuple(value)


def check_layout(layout: str, spatial: int) -> None:
    """Raises AssertionError for an order of axes that is not known."""
    if layout not in LAYOUTS[spatial]:
        raise AssertionError(f"Only supports '{LAYOUTS[spatial][0]}' and '{LAYOUTS[spatial][1]}' layout for now")


class _Conv(HybridBlock):
    """What all of them have.

    channels, in_channels : of the result, of the input; 0 to find it with the first image.
    kernel_size, strides, padding, dilation : one number, or one for each spatial axis.
    groups : into which the channels are divided.
    activation : an activation's name, or None.
    """

    _operator = "Convolution"

    def __init__(
        self,
        channels: int,
        kernel_size: tuple[int, ...],
        strides: Any,
        padding: Any,
        dilation: Any,
        groups: int,
        layout: str,
        in_channels: int = 0,
        activation: str | None = None,
        use_bias: bool = True,
        weight_initializer: Any = None,
        bias_initializer: Any = "zeros",
        adj: tuple[int, ...] | None = None,
        prefix: str | None = None,
        params: Any = None,
    ) -> None:
        super().__init__(prefix=prefix, params=params)
        spatial = len(kernel_size)
        strides, padding, dilation = (
            (value,) * spatial if isinstance(value, numeric_types) else value for value in (strides, padding, dilation)
        )
        with self.name_scope():
            self._channels, self._in_channels = channels, in_channels
            self._kwargs = {
                "kernel": kernel_size,
                "stride": strides,
                "dilate": dilation,
                "pad": padding,
                "num_filter": channels,
                "num_group": groups,
                "no_bias": not use_bias,
                "layout": layout,
            }
            if adj is not None:
                self._kwargs["adj"] = adj
            _check(self._operator, self._kwargs, in_channels)
            self.weight = self.params.get(
                "weight", shape=self._weight_shape(), init=weight_initializer, allow_deferred_init=True
            )
            self.bias = None
            if use_bias:
                self.bias = self.params.get("bias", shape=(channels,), init=bias_initializer, allow_deferred_init=True)
            self.act = activation_of(activation)

    def _alias(self) -> str:
        return "conv"

    def _weight_shape(self) -> tuple[int, ...]:
        """0 in place of channels that are not known."""
        of = self._kwargs
        each = self._in_channels // of["num_group"]
        if of["layout"].endswith("C"):
            return (self._channels, *of["kernel"], each)
        return (self._channels, each, *of["kernel"])

    def hybrid_forward(self, F: Any, x: Any, weight: Any, bias: Any = None) -> Any:
        """Images of ``channels`` channels."""
        operator = getattr(F, self._operator)
        arrays = (x, weight) if bias is None else (x, weight, bias)
        out = operator(*arrays, name="fwd", **self._kwargs)
        return out if self.act is None else self.act(out)

    def __repr__(self) -> str:
        of, shape, spatial = self._kwargs, self.weight.shape, len(self._kwargs["kernel"])
        text = f"{shape[1] or None} -> {shape[0]}, kernel_size={of['kernel']}, stride={of['stride']}"
        if of["pad"] != (0,) * spatial:
            text += f", padding={of['pad']}"
        if of["dilate"] != (1,) * spatial:
            text += f", dilation={of['dilate']}"
        if of["num_group"] != 1:
            text += f", groups={of['num_group']}"
        if self.bias is None:
            text += ", bias=False"
        if self.act is not None:
            text += f", {self.act}"
        return f"{self.__class__.__name__}({text})"


class _Transposed(_Conv):
    """What all transposed ones have."""

    _operator = "Deconvolution"

    def _weight_shape(self) -> tuple[int, ...]:
        of = self._kwargs
        return (self._in_channels, self._channels // of["num_group"], *of["kernel"])


def _check(operator: str, of: dict[str, Any], in_channels: int) -> None:
    """Raises MXNetError for what cannot be a layer."""
    if of["num_filter"] < 1:
        written = ", ".join(f'{key}="{of[key]}"' for key in ("num_filter", "kernel", "stride", "pad", "dilate"))
        raise MXNetError(
            f"value {of['num_filter']} for Parameter num_filter should be greater equal to 1\nnum_filter: Convolution "
            f'filter(channel) number, in operator {operator}(name="", {written})'
        )
    kernel = of["kernel"]
    for key, name in (("stride", "Stride"), ("dilate", "Dilate"), ("pad", "Padding")):
        if len(of[key]) != len(kernel):
            raise MXNetError(
                f"Check failed: param_.kernel.ndim() == param_.{key}.ndim() ({len(kernel)} vs. {len(of[key])}) : "
                f"{name} must have the same number of dimensions with kernel_size,but kernel_size is set to "
                f"{listed(kernel)} while {name.lower()} is {listed(tuple(of[key]))}"
            )
        if key != "pad" and min(of[key]) < 1:
            raise MXNetError(f"Check failed: incorrect {name.lower()} size: {listed(tuple(of[key]))}")
    if min(kernel) < 1:
        raise MXNetError(f"Check failed: incorrect kernel size: {listed(kernel)}")
    groups = of["num_group"]
    if in_channels % groups:
        raise MXNetError(
            f"Check failed: dshape[1] % param_.num_group == 0U ({in_channels % groups} vs. 0) : input num_filter must "
            f"divide group size: {groups} groups of {in_channels} channels"
        )
    if of["num_filter"] % groups:
        raise MXNetError(
            f"Check failed: param_.num_filter % param_.num_group == 0U ({of['num_filter'] % groups} vs. 0) : output "
            f"num_filter must divide group size: {groups} groups of {of['num_filter']} filters"
        )


class Conv1D(_Conv):
    """Signals (n, in_channels, w) under weight (channels, in_channels / groups, k), plus bias."""

    def __init__(
        self, channels: int, kernel_size: Any, strides: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1,
        layout: str = "NCW", activation: str | None = None, use_bias: bool = True, weight_initializer: Any = None,
        bias_initializer: Any = "zeros", in_channels: int = 0, **kwargs: Any,
    ) -> None:  # fmt: skip
        check_layout(layout, 1)
        super().__init__(
            channels, numbers(kernel_size, 1, "kernel_size"), strides, padding, dilation, groups, layout, in_channels,
            activation, use_bias, weight_initializer, bias_initializer, **kwargs,
        )  # fmt: skip


class Conv2D(_Conv):
    """Images (n, in_channels, h, w) under weight (channels, in_channels / groups, kh, kw), plus bias.

    >>> Conv2D(6, kernel_size=5, padding=2, activation="sigmoid")
    Conv2D(None -> 6, kernel_size=(5, 5), stride=(1, 1), padding=(2, 2), Activation(sigmoid))
    """

    def __init__(
        self, channels: int, kernel_size: Any, strides: Any = (1, 1), padding: Any = (0, 0), dilation: Any = (1, 1),
        groups: int = 1, layout: str = "NCHW", activation: str | None = None, use_bias: bool = True,
        weight_initializer: Any = None, bias_initializer: Any = "zeros", in_channels: int = 0, **kwargs: Any,
    ) -> None:  # fmt: skip
        check_layout(layout, 2)
        super().__init__(
            channels, numbers(kernel_size, 2, "kernel_size"), strides, padding, dilation, groups, layout, in_channels,
            activation, use_bias, weight_initializer, bias_initializer, **kwargs,
        )  # fmt: skip


class Conv3D(_Conv):
    """Volumes (n, in_channels, d, h, w) under weight (channels, in_channels / groups, kd, kh, kw), plus bias."""

    def __init__(
        self, channels: int, kernel_size: Any, strides: Any = (1, 1, 1), padding: Any = (0, 0, 0),
        dilation: Any = (1, 1, 1), groups: int = 1, layout: str = "NCDHW", activation: str | None = None,
        use_bias: bool = True, weight_initializer: Any = None, bias_initializer: Any = "zeros", in_channels: int = 0,
        **kwargs: Any,
    ) -> None:  # fmt: skip
        check_layout(layout, 3)
        super().__init__(
            channels, numbers(kernel_size, 3, "kernel_size"), strides, padding, dilation, groups, layout, in_channels,
            activation, use_bias, weight_initializer, bias_initializer, **kwargs,
        )  # fmt: skip


class Conv1DTranspose(_Transposed):
    """The input gradient of `Conv1D`: signals become ``strides`` times as long. ``output_padding``: places more."""

    def __init__(
        self, channels: int, kernel_size: Any, strides: Any = 1, padding: Any = 0, output_padding: Any = 0,
        dilation: Any = 1, groups: int = 1, layout: str = "NCW", activation: str | None = None, use_bias: bool = True,
        weight_initializer: Any = None, bias_initializer: Any = "zeros", in_channels: int = 0, **kwargs: Any,
    ) -> None:  # fmt: skip
        check_layout(layout, 1)
        super().__init__(
            channels, numbers(kernel_size, 1, "kernel_size"), strides, padding, dilation, groups, layout, in_channels,
            activation, use_bias, weight_initializer, bias_initializer, numbers(output_padding, 1, "output_padding"),
            **kwargs,
        )  # fmt: skip


class Conv2DTranspose(_Transposed):
    """The input gradient of `Conv2D`: images become ``strides`` times as large. ``output_padding``: pixels more."""

    def __init__(
        self, channels: int, kernel_size: Any, strides: Any = (1, 1), padding: Any = (0, 0),
        output_padding: Any = (0, 0), dilation: Any = (1, 1), groups: int = 1, layout: str = "NCHW",
        activation: str | None = None, use_bias: bool = True, weight_initializer: Any = None,
        bias_initializer: Any = "zeros", in_channels: int = 0, **kwargs: Any,
    ) -> None:  # fmt: skip
        check_layout(layout, 2)
        super().__init__(
            channels, numbers(kernel_size, 2, "kernel_size"), strides, padding, dilation, groups, layout, in_channels,
            activation, use_bias, weight_initializer, bias_initializer, numbers(output_padding, 2, "output_padding"),
            **kwargs,
        )  # fmt: skip


class Conv3DTranspose(_Transposed):
    """The input gradient of `Conv3D`: volumes become ``strides`` times as large. ``output_padding``: places more."""

    def __init__(
        self, channels: int, kernel_size: Any, strides: Any = (1, 1, 1), padding: Any = (0, 0, 0),
        output_padding: Any = (0, 0, 0), dilation: Any = (1, 1, 1), groups: int = 1, layout: str = "NCDHW",
        activation: str | None = None, use_bias: bool = True, weight_initializer: Any = None,
        bias_initializer: Any = "zeros", in_channels: int = 0, **kwargs: Any,
    ) -> None:  # fmt: skip
        check_layout(layout, 3)
        super().__init__(
            channels, numbers(kernel_size, 3, "kernel_size"), strides, padding, dilation, groups, layout, in_channels,
            activation, use_bias, weight_initializer, bias_initializer, numbers(output_padding, 3, "output_padding"),
            **kwargs,
        )  # fmt: skip
