"""DataLoader: a dataset in batches, made by this thread or by others ahead of it."""

from __future__ import annotations

import collections
import concurrent.futures
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ... import ndarray as nd
from ...context import cpu_pinned
from ...ndarray.core import Core
from .sampler import BatchSampler, RandomSampler, SequentialSampler

__all__ = ["DataLoader", "default_batchify_fn"]


def default_batchify_fn(data: Any) -> Any:
    """A list of examples as one batch: arrays stacked, parts of tuples each for itself, numbers in an array."""
    if isinstance(data[0], Core):
        return nd.stack(*data)
    if isinstance(data[0], tuple):
        return [default_batchify_fn(part) for part in zip(*data, strict=True)]
    numbers = np.asarray(data)
    return nd.array(numbers, dtype=numbers.dtype)


default_mp_batchify_fn = default_batchify_fn


class DataLoader:
    """A dataset in batches: iterating over it goes through the dataset once.

    dataset : a Dataset, or an array.
    batch_size : examples in a batch.
    shuffle : whether they come in another order every time.
    sampler, batch_sampler : indices, or lists of them, instead of these two.
    last_batch : "keep", "discard" or "rollover" what does not fill a batch (`BatchSampler`).
    batchify_fn : what makes a batch from a list of examples; `default_batchify_fn` if not given.
    num_workers : so many threads make batches ahead; 0 makes each when it is asked for. (MXNet starts processes unless
        told ``thread_pool``. Here they are threads, which see what happens to the dataset, and need no copies.)
    prefetch : how many batches ahead; twice the workers if not given.
    timeout : seconds after which a batch that a worker has not made raises TimeoutError.

    Raises ValueError for arguments that do not go together.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = None,
        shuffle: bool = False,
        sampler: Any = None,
        last_batch: str | None = None,
        batch_sampler: Any = None,
        batchify_fn: Callable[[Any], Any] | None = None,
        num_workers: int = 0,
        pin_memory: bool = False,
        pin_device_id: int = 0,
        prefetch: int | None = None,
        thread_pool: bool = False,
        timeout: float = 120,
        auto_reload: bool = False,
    ) -> None:
        if timeout <= 0:
            raise AssertionError(f"timeout must be positive, given {timeout}")
        if batch_sampler is None:
            batch_sampler = _batches(len(dataset), batch_size, shuffle, sampler, last_batch)
        elif batch_size is not None or shuffle or sampler is not None or last_batch is not None:
            raise ValueError(
                "batch_size, shuffle, sampler and last_batch must not be specified if batch_sampler is specified."
            )
        self._dataset, self._batch_sampler = dataset, batch_sampler
        self._batchify_fn = default_batchify_fn if batchify_fn is None else batchify_fn
        self._num_workers = max(0, num_workers)
        self._ahead = max(1, 2 * self._num_workers if prefetch is None else int(prefetch))
        self._timeout = timeout
        self._pinned = cpu_pinned(pin_device_id) if pin_memory else None
        self.auto_reload = auto_reload

    def __len__(self) -> int:
        return len(self._batch_sampler)

    def __iter__(self) -> Iterator[Any]:
        if self._num_workers == 0:
            return map(self._made, self._batch_sampler)
        return self._by_workers()

    def _made(self, batch: Any) -> Any:
        made = self._batchify_fn([self._dataset[index] for index in batch])
        return made if self._pinned is None else _moved(made, self._pinned)

    def _by_workers(self) -> Iterator[Any]:
        """Batches in order; no more than `_ahead` of them wait."""
        batches = iter(self._batch_sampler)
        waiting: collections.deque[concurrent.futures.Future[Any]] = collections.deque()
        workers = concurrent.futures.ThreadPoolExecutor(self._num_workers, "kernelwise.mxnet.DataLoader")
        try:
            for batch in batches:
                waiting.append(workers.submit(self._made, batch))
                if len(waiting) >= self._ahead:
                    yield waiting.popleft().result(self._timeout)
            while waiting:
                yield waiting.popleft().result(self._timeout)
        finally:
            workers.shutdown(wait=False, cancel_futures=True)


def _batches(length: int, batch_size: int | None, shuffle: bool, sampler: Any, last_batch: str | None) -> Any:
    if batch_size is None:
        raise ValueError("batch_size must be specified unless batch_sampler is specified")
    if sampler is None:
        sampler = RandomSampler(length) if shuffle else SequentialSampler(length)
    elif shuffle:
        raise ValueError("shuffle must not be specified if sampler is specified")
    return BatchSampler(sampler, batch_size, last_batch or "keep")


def _moved(data: Any, context: Any) -> Any:
    if isinstance(data, (list, tuple)):
        return [_moved(part, context) for part in data]
    return data.as_in_context(context) if isinstance(data, Core) else data  # type: ignore[attr-defined]
