"""Values worked out when they are first asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

T = TypeVar("T")


class lazy(Generic[T]):
    """A property that is worked out once and then kept in the object.

    Like functools.cached_property, but without the lock which that takes before Python 3.12: all objects of a class
    would wait for each other, and a child forked meanwhile for ever. Two threads may both work a value out.
    """

    def __init__(self, work: Callable[[Any], T]) -> None:
        self._work, self.__doc__ = work, work.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> lazy[T]: ...

    @overload
    def __get__(self, instance: object, owner: type | None = None) -> T: ...

    def __get__(self, instance: object, owner: type | None = None) -> lazy[T] | T:
        if instance is None:
            return self
        value: T = self._work(instance)
        instance.__dict__[self._name] = value
        return value
