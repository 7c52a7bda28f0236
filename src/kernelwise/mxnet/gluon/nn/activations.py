"""Activations: functions of one number, some of them with parameters."""

from __future__ import annotations

from typing import Any

from ... import initializer
from ..block import HybridBlock


class Activation(HybridBlock):
    """ "relu", "sigmoid", "tanh", "softrelu" or "softsign"."""

    def __init__(self, activation: str, **kwargs: Any) -> None:
        self._act_type = activation
        super().__init__(**kwargs)

    def _alias(self) -> str:
        return self._act_type

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """Of the same shape."""
        return F.Activation(x, act_type=self._act_type, name="fwd")

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}({self._act_type})"


class LeakyReLU(HybridBlock):
    """x where it is above 0, alpha * x below."""

    def __init__(self, alpha: float, **kwargs: Any) -> None:
        if not alpha >= 0:
            raise AssertionError("Slope coefficient for LeakyReLU must be no less than 0.")
        super().__init__(**kwargs)
        self._alpha = alpha

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """Of the same shape."""
        return F.LeakyReLU(x, act_type="leaky", slope=self._alpha, name="fwd")

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}({self._alpha})"


class PReLU(HybridBlock):
    """`LeakyReLU` whose slope is a parameter, 0.25 at first; ``in_channels`` of them.

    He, Zhang, Ren and Sun, ICCV 2015, 1026-1034.
    """

    def __init__(self, alpha_initializer: Any = None, in_channels: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        init = initializer.Constant(0.25) if alpha_initializer is None else alpha_initializer
        with self.name_scope():
            self.alpha = self.params.get("alpha", shape=(in_channels,), init=init)

    def hybrid_forward(self, F: Any, x: Any, alpha: Any) -> Any:
        """Of the same shape."""
        return F.LeakyReLU(x, gamma=alpha, act_type="prelu", name="fwd")


class ELU(HybridBlock):
    """x where it is above 0, alpha * (exp(x) - 1) below. Clevert, Unterthiner and Hochreiter, ICLR 2016."""

    def __init__(self, alpha: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._alpha = alpha

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """Of the same shape."""
        return F.LeakyReLU(x, act_type="elu", slope=self._alpha)


class SELU(HybridBlock):
    """`ELU` scaled so that numbers keep mean 0 and variance 1. Klambauer et al., NeurIPS 2017."""

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """Of the same shape."""
        return F.LeakyReLU(x, act_type="selu", name="fwd")


class GELU(HybridBlock):
    """x times the probability that a standard normal number is below x. Hendrycks and Gimpel, arXiv:1606.08415."""

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """Of the same shape."""
        return F.LeakyReLU(x, act_type="gelu", name="fwd")


class Swish(HybridBlock):
    """x * sigmoid(beta * x). Ramachandran, Zoph and Le, arXiv:1710.05941."""

    def __init__(self, beta: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._beta = beta

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """Of the same shape."""
        return x * F.sigmoid(self._beta * x, name="fwd")
