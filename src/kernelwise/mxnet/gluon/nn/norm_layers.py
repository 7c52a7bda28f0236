"""Layers that normalise: numbers with mean 0 and variance 1, times gamma, plus beta."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..block import HybridBlock


def _pair(
    block: HybridBlock, shape: tuple[int, ...], scale: bool, center: bool, gamma: Any, beta: Any
) -> tuple[Any, Any]:
    """The parameters gamma and beta of a layer; one that is not wanted keeps what it begins with."""
    made = []
    for name, wanted, init in (("gamma", scale, gamma), ("beta", center, beta)):
        request = "write" if wanted else "null"
        made.append(block.params.get(name, grad_req=request, shape=shape, init=init, allow_deferred_init=True))
    return made[0], made[1]


class BatchNorm(HybridBlock):
    """Normalised over all images and pixels of a channel: in training by what they are, then by running means.

    axis : the channels'.
    momentum : how much of the running mean and variance stays in a step; they move when the gradient is computed.
    epsilon : added to the variance.
    center, scale : whether there are a beta and a gamma.
    use_global_stats : whether running means are used in training too.

    Ioffe and Szegedy, ICML 2015, 448-456.
    """

    def __init__(
        self,
        axis: int = 1,
        momentum: float = 0.9,
        epsilon: float = 1e-5,
        center: bool = True,
        scale: bool = True,
        use_global_stats: bool = False,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        running_mean_initializer: Any = "zeros",
        running_variance_initializer: Any = "ones",
        in_channels: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._kwargs = {
            "axis": axis,
            "eps": epsilon,
            "momentum": momentum,
            "fix_gamma": not scale,
            "use_global_stats": use_global_stats,
        }
        self._axis = axis
        if in_channels != 0:
            self.in_channels = in_channels
        self.gamma = self.params.get(
            "gamma", grad_req="write" if scale else "null", shape=(in_channels,), init=gamma_initializer,
            allow_deferred_init=True, differentiable=scale,
        )  # fmt: skip
        self.beta = self.params.get(
            "beta", grad_req="write" if center else "null", shape=(in_channels,), init=beta_initializer,
            allow_deferred_init=True, differentiable=center,
        )  # fmt: skip
        self.running_mean = self._running("running_mean", in_channels, running_mean_initializer)
        self.running_var = self._running("running_var", in_channels, running_variance_initializer)

    def _running(self, name: str, channels: int, init: Any) -> Any:
        return self.params.get(
            name, grad_req="null", shape=(channels,), init=init, allow_deferred_init=True, differentiable=False
        )

    def cast(self, dtype: Any) -> None:
        """From now on parameters of another dtype; float32 beside images of float16."""
        super().cast("float32" if np.dtype(dtype).name == "float16" else dtype)

    def hybrid_forward(self, F: Any, x: Any, gamma: Any, beta: Any, running_mean: Any, running_var: Any) -> Any:
        """Of the same shape."""
        return F.BatchNorm(x, gamma, beta, running_mean, running_var, name="fwd", **self._kwargs)

    def __repr__(self) -> str:
        content = ", ".join(f"{key}={value!r}" for key, value in self._kwargs.items())
        return f"{self.__class__.__name__}({content}, in_channels={self.gamma.shape[0] or None})"


class BatchNormReLU(BatchNorm):
    """`BatchNorm`, then zeros where the result is below 0."""

    def hybrid_forward(self, F: Any, x: Any, gamma: Any, beta: Any, running_mean: Any, running_var: Any) -> Any:
        """Of the same shape."""
        return F.relu(super().hybrid_forward(F, x, gamma, beta, running_mean, running_var))


class _Normalisation(HybridBlock):
    """What the layers without running means have."""

    gamma: Any
    _shown: dict[str, Any]

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}({', '.join(f'{key}={value!r}' for key, value in self._shown.items())})"


class LayerNorm(_Normalisation):
    """Normalised along one axis. Ba, Kiros and Hinton, arXiv:1607.06450."""

    def __init__(
        self,
        axis: int = -1,
        epsilon: float = 1e-5,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        in_channels: int = 0,
        prefix: str | None = None,
        params: Any = None,
    ) -> None:
        super().__init__(prefix=prefix, params=params)
        self._axis, self._epsilon = axis, epsilon
        self._shown = {"eps": epsilon, "axis": axis, "center": center, "scale": scale}
        self.gamma, self.beta = _pair(self, (in_channels,), scale, center, gamma_initializer, beta_initializer)

    def hybrid_forward(self, F: Any, data: Any, gamma: Any, beta: Any) -> Any:
        """Of the same shape."""
        return F.LayerNorm(data, gamma=gamma, beta=beta, axis=self._axis, eps=self._epsilon)

    def __repr__(self) -> str:
        return super().__repr__()[:-1] + f", in_channels={self.gamma.shape[0]})"


class InstanceNorm(_Normalisation):
    """Normalised over the pixels of every channel of every image. Ulyanov, Vedaldi and Lempitsky, arXiv:1607.08022."""

    def __init__(
        self,
        axis: int = 1,
        epsilon: float = 1e-5,
        center: bool = True,
        scale: bool = False,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        in_channels: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._axis, self._epsilon = axis, epsilon
        self._shown = {"eps": epsilon, "axis": axis, "center": center, "scale": scale}
        self.gamma, self.beta = _pair(self, (in_channels,), scale, center, gamma_initializer, beta_initializer)

    def hybrid_forward(self, F: Any, x: Any, gamma: Any, beta: Any) -> Any:
        """Of the same shape."""
        if self._axis == 1:
            return F.InstanceNorm(x, gamma, beta, name="fwd", eps=self._epsilon)
        turned = F.InstanceNorm(x.swapaxes(1, self._axis), gamma, beta, name="fwd", eps=self._epsilon)
        return turned.swapaxes(1, self._axis)

    def __repr__(self) -> str:
        return super().__repr__()[:-1] + f", in_channels={self.gamma.shape[0]})"


class GroupNorm(_Normalisation):
    """Normalised over the pixels of groups of channels of every image. Wu and He, ECCV 2018."""

    def __init__(
        self,
        num_groups: int = 1,
        epsilon: float = 1e-5,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        prefix: str | None = None,
        params: Any = None,
    ) -> None:
        super().__init__(prefix=prefix, params=params)
        self._num_groups, self._epsilon = num_groups, epsilon
        self._shown = {"eps": epsilon, "num_groups": num_groups, "center": center, "scale": scale}
        self.gamma, self.beta = _pair(self, (num_groups,), scale, center, gamma_initializer, beta_initializer)

    def hybrid_forward(self, F: Any, data: Any, gamma: Any, beta: Any) -> Any:
        """Of the same shape."""
        return F.GroupNorm(data, gamma=gamma, beta=beta, num_groups=self._num_groups, eps=self._epsilon)
