"""gluon.loss: how far predictions are from labels, one number for every example of a batch.

The axis ``batch_axis`` stays, and of all others the mean is taken. ``weight`` is a factor for all examples,
``sample_weight`` an array that broadcasts against the losses before the mean: (n, 1) for one factor an example.
"""

from __future__ import annotations

from typing import Any

from ..base import numeric_types
from ..uncovered import lookup, table
from .block import HybridBlock

__all__ = [
    "CosineEmbeddingLoss",
    "HingeLoss",
    "HuberLoss",
    "KLDivLoss",
    "L1Loss",
    "L2Loss",
    "LogisticLoss",
    "Loss",
    "PoissonNLLLoss",
    "SigmoidBCELoss",
    "SigmoidBinaryCrossEntropyLoss",
    "SoftmaxCELoss",
    "SoftmaxCrossEntropyLoss",
    "SquaredHingeLoss",
    "TripletLoss",
]

TINY = 1e-12  # added to what a logarithm is taken of
PI = 3.141592653589793
_UNCOVERED = table(
    "gluon.loss.",
    """
    CTCLoss: torch.nn.CTCLoss
    SDMLLoss: torch.nn.functional.cross_entropy on distances
    """,
)


def __getattr__(name: str) -> Any:
    return lookup(__name__, _UNCOVERED, name)


class Loss(HybridBlock):
    """The base of all. ``weight``: a factor, or None; ``batch_axis``: the axis of examples."""

    def __init__(self, weight: float | None, batch_axis: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._weight, self._batch_axis = weight, batch_axis

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}(batch_axis={self._batch_axis}, w={self._weight})"

    def _weighted(self, F: Any, losses: Any, weight: float | None, sample_weight: Any) -> Any:
        if sample_weight is not None:
            losses = F.broadcast_mul(losses, sample_weight)
        if weight is None:
            return losses
        if not isinstance(weight, numeric_types):
            raise AssertionError("weight must be a number")
        return losses * weight

    def _mean(self, F: Any, losses: Any, sample_weight: Any) -> Any:
        """Weighted, the mean of every example."""
        return F.mean(self._weighted(F, losses, self._weight, sample_weight), axis=self._batch_axis, exclude=True)


class L2Loss(Loss):
    """(label - pred) ** 2 / 2."""

    def __init__(self, weight: float | None = 1.0, batch_axis: int = 0, **kwargs: Any) -> None:
        super().__init__(weight, batch_axis, **kwargs)

    def hybrid_forward(self, F: Any, pred: Any, label: Any, sample_weight: Any = None) -> Any:
        """One number for every example."""
        losses = F.square(label.reshape(pred.shape) - pred)
        half = None if self._weight is None else self._weight / 2
        return F.mean(self._weighted(F, losses, half, sample_weight), axis=self._batch_axis, exclude=True)


class L1Loss(Loss):
    """|label - pred|."""

    def __init__(self, weight: float | None = None, batch_axis: int = 0, **kwargs: Any) -> None:
        super().__init__(weight, batch_axis, **kwargs)

    def hybrid_forward(self, F: Any, pred: Any, label: Any, sample_weight: Any = None) -> Any:
        """One number for every example."""
        return self._mean(F, F.abs(label.reshape(pred.shape) - pred), sample_weight)


class SigmoidBinaryCrossEntropyLoss(Loss):
    """-log of the probability of the label, 0 or 1 (or between), where ``pred`` gives that of 1.

    from_sigmoid : whether predictions are probabilities; otherwise their sigmoids are.
    """

    def __init__(
        self, from_sigmoid: bool = False, weight: float | None = None, batch_axis: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(weight, batch_axis, **kwargs)
        self._from_sigmoid = from_sigmoid

    def hybrid_forward(self, F: Any, pred: Any, label: Any, sample_weight: Any = None, pos_weight: Any = None) -> Any:
        """One number for every example. ``pos_weight``: factors of labels that are 1, against those that are 0."""
        label = label.reshape(pred.shape)
        if self._from_sigmoid:
            right = F.log(pred + TINY) * label
            if pos_weight is not None:
                right = F.broadcast_mul(right, pos_weight)
            losses = -(right + F.log(1.0 - pred + TINY) * (1.0 - label))
        elif pos_weight is None:
            losses = F.relu(pred) - pred * label + _softplus(F, -F.abs(pred))
        else:
            factors = 1 + F.broadcast_mul(pos_weight - 1, label)
            losses = pred - pred * label + factors * (_softplus(F, -F.abs(pred)) + F.relu(-pred))
        return self._mean(F, losses, sample_weight)


class SoftmaxCrossEntropyLoss(Loss):
    """-log of the probability of the label, where probabilities are the softmax of predictions along ``axis``.

    sparse_label : whether labels are classes' numbers; otherwise they are probabilities, of the predictions' shape.
    from_logits : whether predictions are logarithms of probabilities already.
    """

    def __init__(
        self,
        axis: int = -1,
        sparse_label: bool = True,
        from_logits: bool = False,
        weight: float | None = None,
        batch_axis: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(weight, batch_axis, **kwargs)
        self._axis, self._sparse_label, self._from_logits = axis, sparse_label, from_logits

    def hybrid_forward(self, F: Any, pred: Any, label: Any, sample_weight: Any = None) -> Any:
        """One number for every example."""
        if not self._from_logits:
            pred = F.log_softmax(pred, self._axis)
        if self._sparse_label:
            losses = -F.pick(pred, label, axis=self._axis, keepdims=True)
        else:
            losses = -F.sum(pred * label.reshape(pred.shape), axis=self._axis, keepdims=True)
        return self._mean(F, losses, sample_weight)


class KLDivLoss(Loss):
    """label * (log(label) - pred): how far predicted distributions are from given ones. The sum of it, no mean.

    from_logits : whether predictions are logarithms of probabilities; otherwise their softmax along ``axis`` is taken.
    """

    def __init__(
        self, from_logits: bool = True, axis: int = -1, weight: float | None = None, batch_axis: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(weight, batch_axis, **kwargs)
        self._from_logits, self._axis = from_logits, axis

    def hybrid_forward(self, F: Any, pred: Any, label: Any, sample_weight: Any = None) -> Any:
        """One number for every example."""
        if not self._from_logits:
            pred = F.log_softmax(pred, self._axis)
        losses = self._weighted(F, label * (F.log(label + TINY) - pred), self._weight, sample_weight)
        return F.sum(losses, axis=self._batch_axis, exclude=True)


class HuberLoss(Loss):
    """|label - pred| less rho / 2 where that is above ``rho``, (label - pred) ** 2 / (2 * rho) elsewhere."""

    def __init__(self, rho: float = 1, weight: float | None = None, batch_axis: int = 0, **kwargs: Any) -> None:
        super().__init__(weight, batch_axis, **kwargs)
        self._rho = rho

    def hybrid_forward(self, F: Any, pred: Any, label: Any, sample_weight: Any = None) -> Any:
        """One number for every example."""
        away = F.abs(label.reshape(pred.shape) - pred)
        losses = F.where(away > self._rho, away - 0.5 * self._rho, (0.5 / self._rho) * F.square(away))
        return self._mean(F, losses, sample_weight)


class HingeLoss(Loss):
    """max(0, margin - pred * label), with labels 1 and -1."""

    def __init__(self, margin: float = 1, weight: float | None = None, batch_axis: int = 0, **kwargs: Any) -> None:
        super().__init__(weight, batch_axis, **kwargs)
        self._margin = margin

    def hybrid_forward(self, F: Any, pred: Any, label: Any, sample_weight: Any = None) -> Any:
        """One number for every example."""
        return self._mean(F, F.relu(self._margin - pred * label.reshape(pred.shape)), sample_weight)


class SquaredHingeLoss(HingeLoss):
    """max(0, margin - pred * label) ** 2, with labels 1 and -1."""

    def hybrid_forward(self, F: Any, pred: Any, label: Any, sample_weight: Any = None) -> Any:
        """One number for every example."""
        losses = F.square(F.relu(self._margin - pred * label.reshape(pred.shape)))
        return self._mean(F, losses, sample_weight)


class LogisticLoss(Loss):
    """log(1 + exp(-pred * label)), with labels 1 and -1 ("signed") or 1 and 0 ("binary")."""

    def __init__(
        self, weight: float | None = None, batch_axis: int = 0, label_format: str = "signed", **kwargs: Any
    ) -> None:
        super().__init__(weight, batch_axis, **kwargs)
        if label_format not in ("signed", "binary"):
            raise ValueError(f"label_format can only be signed or binary, recieved {label_format}.")
        self._label_format = label_format

    def hybrid_forward(self, F: Any, pred: Any, label: Any, sample_weight: Any = None) -> Any:
        """One number for every example."""
        label = label.reshape(pred.shape)
        if self._label_format == "signed":
            label = (label + 1.0) / 2.0
        return self._mean(F, F.relu(pred) - pred * label + _softplus(F, -F.abs(pred)), sample_weight)


class TripletLoss(Loss):
    """max(0, margin + |pred - positive| ** 2 - |pred - negative| ** 2), sums over an example."""

    def __init__(self, margin: float = 1, weight: float | None = None, batch_axis: int = 0, **kwargs: Any) -> None:
        super().__init__(weight, batch_axis, **kwargs)
        self._margin = margin

    def hybrid_forward(self, F: Any, pred: Any, positive: Any, negative: Any) -> Any:
        """One number for every example."""
        near, far = F.square(positive.reshape(pred.shape) - pred), F.square(negative.reshape(pred.shape) - pred)
        losses = F.relu(F.sum(near - far, axis=self._batch_axis, exclude=True) + self._margin)
        return self._weighted(F, losses, self._weight, None)


class PoissonNLLLoss(Loss):
    """-log of the probability of a count, where ``pred`` is the expected one, or its logarithm (``from_logits``).

    compute_full : whether the part that does not depend on predictions is there too, by Stirling's formula.
    """

    def __init__(
        self,
        weight: float | None = None,
        from_logits: bool = True,
        batch_axis: int = 0,
        compute_full: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(weight, batch_axis, **kwargs)
        self._from_logits, self._compute_full = from_logits, compute_full

    def hybrid_forward(self, F: Any, pred: Any, target: Any, sample_weight: Any = None, epsilon: float = 1e-08) -> Any:
        """One number: the mean of all."""
        target = target.reshape(pred.shape)
        losses = F.exp(pred) - target * pred if self._from_logits else pred - target * F.log(pred + epsilon)
        if self._compute_full:
            rest = target * F.log(target) - target + 0.5 * F.log(2 * target * PI)
            losses = losses + rest * (target > 1)
        return F.mean(self._weighted(F, losses, self._weight, sample_weight))


class CosineEmbeddingLoss(Loss):
    """1 - cos for pairs labelled 1, max(0, cos - margin) for pairs labelled -1."""

    def __init__(self, weight: float | None = None, batch_axis: int = 0, margin: float = 0, **kwargs: Any) -> None:
        super().__init__(weight, batch_axis, **kwargs)
        self._margin = margin

    def hybrid_forward(self, F: Any, input1: Any, input2: Any, label: Any, sample_weight: Any = None) -> Any:
        """(n, 1): one number for every pair."""
        input1, label = input1.reshape(input2.shape), label.reshape((-1, 1))
        lengths = F.norm(input1, axis=-1).reshape((-1, 1)) * F.norm(input2, axis=-1).reshape((-1, 1))
        cosine = F.sum(input1 * input2, axis=-1).reshape((-1, 1)) / F.broadcast_maximum(lengths, F.array([TINY]))
        unlike = F.broadcast_maximum(F.array([0]), (label == -1) * (cosine - self._margin))
        return self._weighted(F, (1 - cosine) * (label == 1) + unlike, self._weight, sample_weight)


def _softplus(F: Any, x: Any) -> Any:
    """log(1 + exp(x))."""
    return F.Activation(x, act_type="softrelu")


SigmoidBCELoss = SigmoidBinaryCrossEntropyLoss
SoftmaxCELoss = SoftmaxCrossEntropyLoss
