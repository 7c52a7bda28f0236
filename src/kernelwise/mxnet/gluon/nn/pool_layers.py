"""Windows made one number: the largest or the mean, of windows or of whole images."""

from __future__ import annotations

from typing import Any

from ..block import HybridBlock
from .conv_layers import LAYOUTS, numbers


class _Pooling(HybridBlock):
    """What all of them have.

    pool_size, strides, padding : one number, or one for each spatial axis; strides are the window's size if not given.
    ceil_mode : whether windows at the end count that do not fit wholly.
    """

    def __init__(
        self,
        pool_size: tuple[int, ...],
        strides: Any,
        padding: Any,
        ceil_mode: bool,
        global_pool: bool,
        pool_type: str,
        layout: str,
        count_include_pad: bool | None = None,
        **kwargs: Any,
    ) -> None:
        spatial = len(pool_size)
        if layout not in LAYOUTS[spatial]:
            first, last = LAYOUTS[spatial]
            raise AssertionError(f"Only {first} and {last} layouts are valid for {spatial}D Pooling")
        super().__init__(**kwargs)
        self._kwargs = {
            "kernel": pool_size,
            "stride": pool_size if strides is None else numbers(strides, spatial, "strides"),
            "pad": numbers(padding, spatial, "padding"),
            "global_pool": global_pool,
            "pool_type": pool_type,
            "layout": layout,
            "pooling_convention": "full" if ceil_mode else "valid",
        }
        if count_include_pad is not None:
            self._kwargs["count_include_pad"] = count_include_pad

    def _alias(self) -> str:
        return "pool"

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """Smaller images."""
        return F.Pooling(x, name="fwd", **self._kwargs)

    def __repr__(self) -> str:
        of = self._kwargs
        return (
            f"{self.__class__.__name__}(size={of['kernel']}, stride={of['stride']}, padding={of['pad']}, "
            f"ceil_mode={of['pooling_convention'] == 'full'}, global_pool={of['global_pool']}, "
            f"pool_type={of['pool_type']}, layout={of['layout']})"
        )


class MaxPool1D(_Pooling):
    """The largest number of every window of signals (n, c, w)."""

    def __init__(
        self, pool_size: Any = 2, strides: Any = None, padding: Any = 0, layout: str = "NCW", ceil_mode: bool = False,
        **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(
            numbers(pool_size, 1, "pool_size"), strides, padding, ceil_mode, False, "max", layout, **kwargs
        )


class MaxPool2D(_Pooling):
    """The largest number of every window of images (n, c, h, w)."""

    def __init__(
        self, pool_size: Any = (2, 2), strides: Any = None, padding: Any = 0, layout: str = "NCHW",
        ceil_mode: bool = False, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(
            numbers(pool_size, 2, "pool_size"), strides, padding, ceil_mode, False, "max", layout, **kwargs
        )


class MaxPool3D(_Pooling):
    """The largest number of every window of volumes (n, c, d, h, w)."""

    def __init__(
        self, pool_size: Any = (2, 2, 2), strides: Any = None, padding: Any = 0, ceil_mode: bool = False,
        layout: str = "NCDHW", **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(
            numbers(pool_size, 3, "pool_size"), strides, padding, ceil_mode, False, "max", layout, **kwargs
        )


class AvgPool1D(_Pooling):
    """The mean of every window of signals; ``count_include_pad``: zeros outside are counted."""

    def __init__(
        self, pool_size: Any = 2, strides: Any = None, padding: Any = 0, layout: str = "NCW", ceil_mode: bool = False,
        count_include_pad: bool = True, **kwargs: Any,
    ) -> None:  # fmt: skip
        size = numbers(pool_size, 1, "pool_size")
        super().__init__(size, strides, padding, ceil_mode, False, "avg", layout, count_include_pad, **kwargs)


class AvgPool2D(_Pooling):
    """The mean of every window of images; ``count_include_pad``: zeros outside are counted."""

    def __init__(
        self, pool_size: Any = (2, 2), strides: Any = None, padding: Any = 0, ceil_mode: bool = False,
        layout: str = "NCHW", count_include_pad: bool = True, **kwargs: Any,
    ) -> None:  # fmt: skip
        size = numbers(pool_size, 2, "pool_size")
        super().__init__(size, strides, padding, ceil_mode, False, "avg", layout, count_include_pad, **kwargs)


class AvgPool3D(_Pooling):
    """The mean of every window of volumes; ``count_include_pad``: zeros outside are counted."""

    def __init__(
        self, pool_size: Any = (2, 2, 2), strides: Any = None, padding: Any = 0, ceil_mode: bool = False,
        layout: str = "NCDHW", count_include_pad: bool = True, **kwargs: Any,
    ) -> None:  # fmt: skip
        size = numbers(pool_size, 3, "pool_size")
        super().__init__(size, strides, padding, ceil_mode, False, "avg", layout, count_include_pad, **kwargs)


class GlobalMaxPool1D(_Pooling):
    """The largest number of every channel of signals."""

    def __init__(self, layout: str = "NCW", **kwargs: Any) -> None:
        super().__init__((1,), None, 0, True, True, "max", layout, **kwargs)


class GlobalMaxPool2D(_Pooling):
    """The largest number of every channel of images."""

    def __init__(self, layout: str = "NCHW", **kwargs: Any) -> None:
        super().__init__((1, 1), None, 0, True, True, "max", layout, **kwargs)


class GlobalMaxPool3D(_Pooling):
    """The largest number of every channel of volumes."""

    def __init__(self, layout: str = "NCDHW", **kwargs: Any) -> None:
        super().__init__((1, 1, 1), None, 0, True, True, "max", layout, **kwargs)


class GlobalAvgPool1D(_Pooling):
    """The mean of every channel of signals."""

    def __init__(self, layout: str = "NCW", **kwargs: Any) -> None:
        super().__init__((1,), None, 0, True, True, "avg", layout, **kwargs)


class GlobalAvgPool2D(_Pooling):
    """The mean of every channel of images."""

    def __init__(self, layout: str = "NCHW", **kwargs: Any) -> None:
        super().__init__((1, 1), None, 0, True, True, "avg", layout, **kwargs)


class GlobalAvgPool3D(_Pooling):
    """The mean of every channel of volumes."""

    def __init__(self, layout: str = "NCDHW", **kwargs: Any) -> None:
        super().__init__((1, 1, 1), None, 0, True, True, "avg", layout, **kwargs)
