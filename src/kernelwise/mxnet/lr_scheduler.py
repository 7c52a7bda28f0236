"""mx.lr_scheduler: learning rates that change with the number of updates."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence

LOG = logging.getLogger(__name__)
MODES = ("linear", "constant")


class LRScheduler:
    """The base of all: ``scheduler(num_update)`` is the rate of that update. The first update is number 1.

    base_lr : the rate without warming up and before anything changes it. An optimizer may set it.
    warmup_steps : for so many updates the rate goes up from ``warmup_begin_lr``: "linear"; or stays there: "constant".
    """

    def __init__(
        self, base_lr: float = 0.01, warmup_steps: int = 0, warmup_begin_lr: float = 0, warmup_mode: str = "linear"
    ) -> None:
        if not isinstance(warmup_steps, int):
            raise AssertionError(f"`warmup_steps` must be an int (got {warmup_steps!r})")
        if warmup_begin_lr > base_lr:
            raise ValueError("Base lr has to be higher than warmup_begin_lr")
        if warmup_steps < 0:
            raise ValueError("Warmup steps has to be positive or 0")
        if warmup_mode not in MODES:
            raise ValueError("Supports only linear and constant modes of warmup")
        self.base_lr = self.warmup_final_lr = base_lr
        self.warmup_steps, self.warmup_begin_lr, self.warmup_mode = warmup_steps, warmup_begin_lr, warmup_mode

    def get_warmup_lr(self, num_update: int) -> float:
        """The rate of one of the first ``warmup_steps`` updates."""
        if num_update >= self.warmup_steps:
            raise AssertionError(f"warming up ends before update {self.warmup_steps} (got {num_update})")
        if self.warmup_mode == "constant":
            return self.warmup_begin_lr
        risen = (self.warmup_final_lr - self.warmup_begin_lr) * float(num_update) / float(self.warmup_steps)
        return self.warmup_begin_lr + risen

    def __call__(self, num_update: int) -> float:
        """For subclasses to say."""
        raise NotImplementedError("must override this")

    def _changed(self, num_update: int) -> None:
        LOG.info("Update[%d]: Change learning rate to %0.5e", num_update, self.base_lr)


def _check_factor(factor: float) -> None:
    if factor > 1.0:
        raise ValueError("Factor must be no more than 1 to make lr reduce")


class FactorScheduler(LRScheduler):
    """After every ``step`` updates ``factor`` times what it was, but never below ``stop_factor_lr``.

    >>> scheduler = FactorScheduler(step=2, factor=0.5, base_lr=1.0)
    >>> [scheduler(update) for update in range(1, 7)]
    [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]
    """

    def __init__(
        self,
        step: int,
        factor: float = 1,
        stop_factor_lr: float = 1e-8,
        base_lr: float = 0.01,
        warmup_steps: int = 0,
        warmup_begin_lr: float = 0,
        warmup_mode: str = "linear",
    ) -> None:
        super().__init__(base_lr, warmup_steps, warmup_begin_lr, warmup_mode)
        if step < 1:
            raise ValueError("Schedule step must be greater or equal than 1 round")
        _check_factor(factor)
        self.step, self.factor, self.stop_factor_lr = step, factor, stop_factor_lr
        self.count = 0  # updates done when the rate last changed

    def __call__(self, num_update: int) -> float:
        """The rate of an update."""
        if num_update < self.warmup_steps:
            return self.get_warmup_lr(num_update)
        while num_update > self.count + self.step:
            self.count += self.step
            self.base_lr = max(self.base_lr * self.factor, self.stop_factor_lr)
            self._changed(num_update)
        return self.base_lr


class MultiFactorScheduler(LRScheduler):
    """After each of the updates in ``step`` ``factor`` times what it was.

    >>> scheduler = MultiFactorScheduler(step=[2, 3], factor=0.1, base_lr=1.0)
    >>> [round(scheduler(update), 3) for update in range(1, 6)]
    [1.0, 1.0, 0.1, 0.01, 0.01]
    """

    def __init__(
        self,
        step: Sequence[int],
        factor: float = 1,
        base_lr: float = 0.01,
        warmup_steps: int = 0,
        warmup_begin_lr: float = 0,
        warmup_mode: str = "linear",
    ) -> None:
        super().__init__(base_lr, warmup_steps, warmup_begin_lr, warmup_mode)
        if not isinstance(step, list) or not step:
            raise AssertionError(f"`step` must be a list of one update or more (got {step!r})")
        if any(later <= earlier for earlier, later in zip(step, step[1:], strict=False)):
            raise ValueError("Schedule step must be an increasing integer list")
        if step[0] < 1:
            raise ValueError("Schedule step must be greater or equal than 1 round")
        _check_factor(factor)
        self.step, self.factor = step, factor
        self.cur_step_ind = 0  # of the next change
        self.count = 0

    def __call__(self, num_update: int) -> float:
        """The rate of an update."""
        if num_update < self.warmup_steps:
            return self.get_warmup_lr(num_update)
        while self.cur_step_ind < len(self.step) and num_update > self.step[self.cur_step_ind]:
            self.count = self.step[self.cur_step_ind]
            self.cur_step_ind += 1
            self.base_lr *= self.factor
            self._changed(num_update)
        return self.base_lr


class _Falling(LRScheduler):
    """From ``base_lr`` to ``final_lr`` at update ``max_update``; subclasses say along which curve."""

    def __init__(self, max_update: int, base_lr: float, final_lr: float, warmup: tuple[int, float, str]) -> None:
        super().__init__(base_lr, *warmup)
        if not isinstance(max_update, int):
            raise AssertionError(f"`max_update` must be an int (got {max_update!r})")
        if max_update < 1:
            raise ValueError("maximum number of updates must be strictly positive")
        self.base_lr_orig, self.max_update, self.final_lr = base_lr, max_update, final_lr
        self.max_steps = max_update - self.warmup_steps

    def _left(self, done: int) -> float:
        """Which part of the way is left after ``done`` of ``max_steps`` updates: 1 at first, 0 at the end."""
        raise NotImplementedError

    def __call__(self, num_update: int) -> float:
        """The rate of an update."""
        if num_update < self.warmup_steps:
            return self.get_warmup_lr(num_update)
        if num_update <= self.max_update:
            way = self.base_lr_orig - self.final_lr
            self.base_lr = self._along(way, num_update - self.warmup_steps)
        return self.base_lr

    def _along(self, way: float, done: int) -> float:
        return self.final_lr + way * self._left(done)


class PolyScheduler(_Falling):
    """Falls as (1 - update / max_update) ** pwr."""

    def __init__(
        self,
        max_update: int,
        base_lr: float = 0.01,
        pwr: float = 2,
        final_lr: float = 0,
        warmup_steps: int = 0,
        warmup_begin_lr: float = 0,
        warmup_mode: str = "linear",
    ) -> None:
        super().__init__(max_update, base_lr, final_lr, (warmup_steps, warmup_begin_lr, warmup_mode))
        self.power = pwr

    def _left(self, done: int) -> float:
        return float((1 - float(done) / float(self.max_steps)) ** self.power)


class CosineScheduler(_Falling):
    """Falls as (1 + cos(pi * update / max_update)) / 2."""

    def __init__(
        self,
        max_update: int,
        base_lr: float = 0.01,
        final_lr: float = 0,
        warmup_steps: int = 0,
        warmup_begin_lr: float = 0,
        warmup_mode: str = "linear",
    ) -> None:
        super().__init__(max_update, base_lr, final_lr, (warmup_steps, warmup_begin_lr, warmup_mode))

    def _along(self, way: float, done: int) -> float:
        return self.final_lr + way * (1 + math.cos(math.pi * done / self.max_steps)) / 2
