"""Examples by number: what has ``__getitem__`` and ``__len__``, and what is made of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...ndarray.core import Core
from .sampler import FilterSampler, Sampler, SequentialSampler

__all__ = ["ArrayDataset", "Dataset", "SimpleDataset"]


class Dataset:
    """The base of all: subclasses have ``__getitem__`` and ``__len__``."""

    def __getitem__(self, idx: int) -> Any:
        raise NotImplementedError

    def __len__(self) -> int:
        raise NotImplementedError

    def filter(self, fn: Callable[[Any], Any]) -> Dataset:
        """The examples for which a function is true."""
        return _Chosen(self, FilterSampler(fn, self))

    def shard(self, num_shards: int, index: int) -> Dataset:
        """The ``index``-th of ``num_shards`` parts, of which the first ones may be longer by one."""
        if index >= num_shards:
            raise AssertionError(f"Shard index of out bound: {index} out of {num_shards}")
        if num_shards <= 0:
            raise AssertionError("Number of shards must be greater than 0")
        if index < 0:
            raise AssertionError("Index must be non-negative")
        each, more = divmod(len(self), num_shards)
        start = each * index + min(index, more)
        return _Chosen(self, SequentialSampler(each + (index < more), start))

    def take(self, count: int | None) -> Dataset:
        """The first ``count`` examples, or all."""
        if count is None or count > len(self):
            count = len(self)
        return _Chosen(self, SequentialSampler(count))

    def sample(self, sampler: Any) -> Dataset:
        """The examples of a sampler, in its order. Raises TypeError for what is no Sampler."""
        if not isinstance(sampler, Sampler):
            raise TypeError(f"Invalid sampler type: {type(sampler)}. Expected gluon.data.Sampler instead.")
        return _Chosen(self, sampler)

    def transform(self, fn: Callable[..., Any], lazy: bool = True) -> Dataset:
        """The examples as a function makes them, each time one is asked for; or all now, if not ``lazy``."""
        made = _Transformed(self, fn)
        return made if lazy else SimpleDataset([made[i] for i in range(len(made))])

    def transform_first(self, fn: Callable[[Any], Any], lazy: bool = True) -> Dataset:
        """`transform` of the first part of every example alone: of the image, not of its label."""
        return self.transform(_First(fn), lazy)


class SimpleDataset(Dataset):
    """A list, or what behaves like one."""

    def __init__(self, data: Any) -> None:
        self._data = data

    def __len__(self) -> int:
        return len(self._data)

    def __getitem__(self, idx: int) -> Any:
        return self._data[idx]


class ArrayDataset(Dataset):
    """Several arrays, lists or datasets of one length: the i-th example is their i-th parts."""

    def __init__(self, *args: Any) -> None:
        if not args:
            raise AssertionError("Needs at least 1 arrays")
        self._length = len(args[0])
        for place, data in enumerate(args):
            if len(data) != self._length:
                raise AssertionError(
                    f"All arrays must have the same length; array[0] has length {self._length} while array[{place}] "
                    f"has {len(data)}."
                )
        # one number for every example: NumPy's are found faster
        self._data = [one.asnumpy() if isinstance(one, Core) and one.ndim == 1 else one for one in args]  # type: ignore[attr-defined]

    def __getitem__(self, idx: int) -> Any:
        if len(self._data) == 1:
            return self._data[0][idx]
        return tuple(data[idx] for data in self._data)

    def __len__(self) -> int:
        return self._length


class _Transformed(Dataset):
    def __init__(self, data: Any, fn: Callable[..., Any]) -> None:
        self._data, self._fn = data, fn

    def __len__(self) -> int:
        return len(self._data)

    def __getitem__(self, idx: int) -> Any:
        example = self._data[idx]
        return self._fn(*example) if isinstance(example, tuple) else self._fn(example)


class _First:
    def __init__(self, fn: Callable[[Any], Any]) -> None:
        self._fn = fn

    def __call__(self, x: Any, *args: Any) -> Any:
        return (self._fn(x), *args) if args else self._fn(x)


class _Chosen(Dataset):
    def __init__(self, data: Any, sampler: Any) -> None:
        self._data, self._indices = data, list(sampler)

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, idx: int) -> Any:
        return self._data[self._indices[idx]]
