"""mx.metric: how good predictions are, added up over batches.

``update(labels, preds)`` takes a batch, as lists of arrays or single ones; ``get()`` gives name and value since the
last ``reset``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import numpy

from .ndarray.core import Core
from .uncovered import lookup, table

_KNOWN: dict[str, type[EvalMetric]] = {}
_UNCOVERED = table(
    "mx.metric.",
    """
    Caffe Torch: mx.metric.Loss, which is the same
    F1 MCC PCC PearsonCorrelation: sklearn.metrics, or a CustomMetric
    Perplexity: mx.metric.CrossEntropy, and its exponential
    """,
)


def __getattr__(name: str) -> Any:
    return lookup(__name__, _UNCOVERED, name)


def register(klass: type[EvalMetric], name: str | None = None) -> type[EvalMetric]:
    """A class decorator: from now on the class can be named, by its own name in lower case if none is given."""
    _KNOWN[(name or klass.__name__).lower()] = klass
    return klass


def alias(*names: str) -> Callable[[type[EvalMetric]], type[EvalMetric]]:
    """A class decorator: other names for a metric."""

    def also(klass: type[EvalMetric]) -> type[EvalMetric]:
        for name in names:
            register(klass, name)
        return klass

    return also


def create(metric: Any, *args: Any, **kwargs: Any) -> Any:
    """A metric from its name, a function of (label, pred), a list of these, or a metric itself.

    >>> metric = create("acc")
    >>> metric.get()
    ('accuracy', nan)
    """
    if isinstance(metric, EvalMetric):
        if args or kwargs:
            raise AssertionError("metric is already an instance. Additional arguments are invalid")
        return metric
    if callable(metric):
        return CustomMetric(metric, *args, **kwargs)
    if isinstance(metric, list):
        return CompositeEvalMetric([create(one, *args, **kwargs) for one in metric])
    if isinstance(metric, str) and metric.startswith(("[", "{")):
        metric = json.loads(metric)
        metric = metric if isinstance(metric, dict) else {"metric": metric[0], **metric[1]}
    if isinstance(metric, dict):
        return create(*[metric["metric"]], **{key: value for key, value in metric.items() if key != "metric"})
    if not isinstance(metric, str):
        raise AssertionError("metric must be of string type")
    if metric.lower() not in _KNOWN:
        for known, stand_in in _UNCOVERED.items():
            if known.lower() == metric.lower():
                stand_in()
        raise AssertionError(f"{metric.lower()} is not registered. Please register with metric.register first")
    return _KNOWN[metric.lower()](*args, **kwargs)


def check_label_shapes(labels: Any, preds: Any, wrap: bool = False, shape: bool = False) -> tuple[Any, Any]:
    """Labels and predictions, as lists if ``wrap``. Raises ValueError where lengths, or shapes, differ."""
    sizes = (labels.shape, preds.shape) if shape else (len(labels), len(preds))
    if sizes[0] != sizes[1]:
        raise ValueError(f"Shape of labels {sizes[0]} does not match shape of predictions {sizes[1]}")
    if wrap:
        labels, preds = ([one] if isinstance(one, Core) else one for one in (labels, preds))
    return labels, preds


class EvalMetric:
    """The base of all: subclasses say in `update` what a batch adds.

    output_names, label_names : which of named predictions and labels `update_dict` takes; all if not given.
    """

    def __init__(
        self, name: str, output_names: list[str] | None = None, label_names: list[str] | None = None, **kwargs: Any
    ) -> None:
        self.name = str(name)
        self.output_names, self.label_names = output_names, label_names
        self._has_global_stats = kwargs.pop("has_global_stats", False)
        self._kwargs = kwargs
        self.reset()

    def __str__(self) -> str:
        return f"EvalMetric: {dict(self.get_name_value())}"

    def get_config(self) -> dict[str, Any]:
        """What `create` makes the same metric from."""
        names = {"name": self.name, "output_names": self.output_names, "label_names": self.label_names}
        return {**self._kwargs, "metric": self.__class__.__name__, **names}

    def update(self, labels: Any, preds: Any) -> None:
        """Adds a batch."""
        raise NotImplementedError

    def update_dict(self, label: dict[str, Any], pred: dict[str, Any]) -> None:
        """Adds a batch of arrays by name."""
        names = self.output_names, self.label_names
        preds, labels = (
            list(given.values()) if wanted is None else [given[name] for name in wanted]
            for given, wanted in zip((pred, label), names, strict=True)
        )
        self.update(labels, preds)

    def reset(self) -> None:
        """Begins anew."""
        self.reset_local()
        self.global_num_inst, self.global_sum_metric = 0, 0.0

    def reset_local(self) -> None:
        """Begins anew, but for what `get_global` tells."""
        self.num_inst, self.sum_metric = 0, 0.0

    def _add(self, total: Any, count: int) -> None:
        self.sum_metric += total
        self.global_sum_metric += total
        self.num_inst += count
        self.global_num_inst += count

    def get(self) -> tuple[Any, Any]:
        """Name and value; NaN before the first batch."""
        return self.name, self.sum_metric / self.num_inst if self.num_inst else math.nan

    def get_global(self) -> tuple[Any, Any]:
        """Name and value since `reset`, whatever `reset_local` did."""
        if not self._has_global_stats:
            return self.get()
        return self.name, self.global_sum_metric / self.global_num_inst if self.global_num_inst else math.nan

    def get_name_value(self) -> list[tuple[str, Any]]:
        """`get`, as a list of pairs."""
        return _pairs(self.get())

    def get_global_name_value(self) -> list[tuple[str, Any]]:
        """`get_global`, as a list of pairs."""
        return _pairs(self.get_global())


def _pairs(found: tuple[Any, Any]) -> list[tuple[str, Any]]:
    names, values = (one if isinstance(one, list) else [one] for one in found)
    return list(zip(names, values, strict=True))


@register
@alias("composite")
class CompositeEvalMetric(EvalMetric):
    """Several metrics at once."""

    def __init__(
        self,
        metrics: Any = None,
        name: str = "composite",
        output_names: list[str] | None = None,
        label_names: list[str] | None = None,
    ) -> None:
        self.metrics = [create(one) for one in metrics or []]
        super().__init__(name, output_names, label_names, has_global_stats=True)

    def add(self, metric: Any) -> None:
        """One more."""
        self.metrics.append(create(metric))

    def get_metric(self, index: int) -> Any:
        """One of them; for a number there is none of, MXNet returns a ValueError, and so does this."""
        if index < len(self.metrics):
            return self.metrics[index]
        return ValueError(f"Metric index {index} is out of range 0 and {len(self.metrics)}")

    def update(self, labels: Any, preds: Any) -> None:
        """Adds a batch to all."""
        for one in self.metrics:
            one.update(labels, preds)

    def update_dict(self, label: dict[str, Any], pred: dict[str, Any]) -> None:
        """Adds a batch of arrays by name to all."""
        if self.label_names is not None:
            label = {name: one for name, one in label.items() if name in self.label_names}
        if self.output_names is not None:
            pred = {name: one for name, one in pred.items() if name in self.output_names}
        for one in self.metrics:
            one.update_dict(label, pred)

    def reset(self) -> None:
        """Begins anew."""
        for one in self.metrics:
            one.reset()

    def reset_local(self) -> None:
        """Begins anew, but for what `get_global` tells."""
        for one in self.metrics:
            one.reset_local()

    def get(self) -> tuple[list[str], list[Any]]:
        """Names and values."""
        return self._all([one.get_name_value() for one in self.metrics])

    def get_global(self) -> tuple[list[str], list[Any]]:
        """Names and values since `reset`."""
        return self._all([one.get_global_name_value() for one in self.metrics])

    def _all(self, found: list[list[tuple[str, Any]]]) -> tuple[list[str], list[Any]]:
        pairs = [pair for part in found for pair in part]
        return [name for name, _ in pairs], [value for _, value in pairs]

    def get_config(self) -> dict[str, Any]:
        """What `create` makes the same metric from."""
        return {**super().get_config(), "metrics": [one.get_config() for one in self.metrics]}


class _Usual(EvalMetric):
    """A metric that adds up over pairs of arrays."""

    def __init__(self, name: str, output_names: Any, label_names: Any, **kwargs: Any) -> None:
        super().__init__(name, output_names, label_names, has_global_stats=True, **kwargs)

    def update(self, labels: Any, preds: Any) -> None:
        """Adds a batch."""
        for label, pred in zip(*check_label_shapes(labels, preds, True), strict=True):
            self._add(*self._count(label.asnumpy(), pred.asnumpy()))

    def _count(self, label: numpy.ndarray, pred: numpy.ndarray) -> tuple[Any, int]:
        """What a pair adds to the sum, and to the number that it is divided by."""
        raise NotImplementedError


@register
@alias("acc")
class Accuracy(_Usual):
    """Which part of the predictions is right. Predictions of another shape than the labels are taken at their largest
    along ``axis``.
    """

    def __init__(
        self, axis: int = 1, name: str = "accuracy", output_names: Any = None, label_names: Any = None
    ) -> None:
        super().__init__(name, output_names, label_names, axis=axis)
        self.axis = axis

    def _count(self, label: numpy.ndarray, pred: numpy.ndarray) -> tuple[Any, int]:
        if pred.shape != label.shape:
            pred = pred.argmax(axis=self.axis)
        given, found = label.astype(numpy.int32).reshape(-1), pred.astype(numpy.int32).reshape(-1)
        check_label_shapes(given, found)
        return (found == given).sum(), len(found)


@register
@alias("top_k_accuracy", "top_k_acc")
class TopKAccuracy(_Usual):
    """Which part of the labels is among the ``top_k`` largest predictions (n, classes)."""

    def __init__(
        self, top_k: int = 1, name: str = "top_k_accuracy", output_names: Any = None, label_names: Any = None
    ) -> None:
        super().__init__(name, output_names, label_names, top_k=top_k)
        if top_k < 2:
            raise AssertionError("Please use Accuracy if top_k is no more than 1")
        self.top_k = top_k
        self.name += f"_{top_k}"

    def _count(self, label: numpy.ndarray, pred: numpy.ndarray) -> tuple[Any, int]:
        if pred.ndim > 2:
            raise AssertionError("Predictions should be no more than 2 dims")
        given = label.astype(numpy.int32)
        if pred.ndim == 1:
            found = numpy.argpartition(pred.astype(numpy.float32), -self.top_k)
            check_label_shapes(given, found)
            return (found == given.reshape(-1)).sum(), len(found)
        places = numpy.argpartition(pred.astype(numpy.float32), -min(self.top_k, pred.shape[1]))[:, -self.top_k :]
        check_label_shapes(given, places)
        return (places == given.reshape(-1, 1)).sum(), len(places)


class _Distance(_Usual):
    """The mean over batches of a distance."""

    def _count(self, label: numpy.ndarray, pred: numpy.ndarray) -> tuple[Any, int]:
        given, found = (one.reshape(-1, 1) if one.ndim == 1 else one for one in (label, pred))
        return self._away(given - found), 1

    def _away(self, difference: numpy.ndarray) -> Any:
        raise NotImplementedError


@register
class MAE(_Distance):
    """The mean of |label - pred|, over batches."""

    def __init__(self, name: str = "mae", output_names: Any = None, label_names: Any = None) -> None:
        super().__init__(name, output_names, label_names)

    def _away(self, difference: numpy.ndarray) -> Any:
        return numpy.abs(difference).mean()


@register
class MSE(_Distance):
    """The mean of (label - pred) ** 2, over batches."""

    def __init__(self, name: str = "mse", output_names: Any = None, label_names: Any = None) -> None:
        super().__init__(name, output_names, label_names)

    def _away(self, difference: numpy.ndarray) -> Any:
        return (difference**2.0).mean()


@register
class RMSE(_Distance):
    """The root of the mean of (label - pred) ** 2 of every batch, the mean of these."""

    def __init__(self, name: str = "rmse", output_names: Any = None, label_names: Any = None) -> None:
        super().__init__(name, output_names, label_names)

    def _away(self, difference: numpy.ndarray) -> Any:
        return numpy.sqrt((difference**2.0).mean())


@register
@alias("ce")
class CrossEntropy(_Usual):
    """The mean of -log(pred[label] + eps), of probabilities (n, classes)."""

    def __init__(
        self, eps: float = 1e-12, name: str = "cross-entropy", output_names: Any = None, label_names: Any = None
    ) -> None:
        super().__init__(name, output_names, label_names, eps=eps)
        self.eps = eps

    def _count(self, label: numpy.ndarray, pred: numpy.ndarray) -> tuple[Any, int]:
        given = label.reshape(-1)
        if given.shape[0] != pred.shape[0]:
            raise AssertionError(f"{given.shape[0]} labels do not fit {pred.shape[0]} predictions")
        chosen = pred[numpy.arange(len(given)), given.astype(numpy.int64)]
        return (-numpy.log(chosen + self.eps)).sum(), len(given)


@register
@alias("nll_loss")
class NegativeLogLikelihood(CrossEntropy):
    """`CrossEntropy` under another name."""

    def __init__(
        self, eps: float = 1e-12, name: str = "nll-loss", output_names: Any = None, label_names: Any = None
    ) -> None:
        super().__init__(eps, name, output_names, label_names)


@register
class Loss(EvalMetric):
    """The mean of all numbers in ``preds``."""

    def __init__(self, name: str = "loss", output_names: Any = None, label_names: Any = None) -> None:
        super().__init__(name, output_names, label_names, has_global_stats=True)

    def update(self, _: Any, preds: Any) -> None:
        """Adds a batch; labels are not looked at."""
        for pred in [preds] if hasattr(preds, "asscalar") else preds:
            self._add(pred.sum().asscalar(), pred.size)


@register
class CustomMetric(EvalMetric):
    """A function of (label, pred), NumPy arrays both, that gives a value, or a sum and a number to divide it by."""

    def __init__(
        self,
        feval: Callable[[Any, Any], Any],
        name: str | None = None,
        allow_extra_outputs: bool = False,
        output_names: Any = None,
        label_names: Any = None,
    ) -> None:
        if name is None:
            name = feval.__name__
            name = f"custom({name})" if "<" in name else name
        super().__init__(
            name, output_names, label_names, feval=feval, allow_extra_outputs=allow_extra_outputs, has_global_stats=True
        )
        self._feval, self._allow_extra_outputs = feval, allow_extra_outputs

    def update(self, labels: Any, preds: Any) -> None:
        """Adds a batch."""
        if not self._allow_extra_outputs:
            labels, preds = check_label_shapes(labels, preds, True)
        for pred, label in zip(preds, labels, strict=False):
            found = self._feval(label.asnumpy(), pred.asnumpy())
            self._add(*(found if isinstance(found, tuple) else (found, 1)))

    def get_config(self) -> dict[str, Any]:
        """Raises NotImplementedError: a function is no text."""
        raise NotImplementedError("CustomMetric cannot be serialized")


def np(numpy_feval: Callable[[Any, Any], Any], name: str | None = None, allow_extra_outputs: bool = False) -> Any:
    """A `CustomMetric`."""
    return CustomMetric(numpy_feval, name or numpy_feval.__name__, allow_extra_outputs)
