"""Sums kept from one batch of images to the next: fits of streams, of several runs, and of many machines."""

from __future__ import annotations

import os
import zipfile
from typing import Any

import numpy as np

from ..atomic import replacing
from ..correlation import check_threads
from ..errors import ArgumentError, ArgumentTypeError, FileError
from ..problem import one_of, per_axis, whole_number
from .estimate import estimate
from .gather import centres, moments
from .moments import Moments
from .options import MOST_TAPS, options
from .pairs import Layout, pair, pairs
from .result import KernelFit
from .sizes import size_curve
from .windows import How

FORMAT = 1  # of the file
FIELDS = ("before", "after", "gram", "seen", "right", "total", "squares")


class FitStatistics:
    """What a fit needs to know of any number of images: a few sums, nothing of the images themselves.

    Parameters
    ----------
    max_size : of the largest kernel that will be asked for: one number, or one for each axis.
    dims, channels : see `fit_kernel`; without ``dims`` there are as many axes as ``max_size`` has numbers, else 2.
    threads : at most this many. The bits of the sums do not depend on it.

    >>> x = np.random.default_rng(0).normal(size=(2, 40, 50))
    >>> y = x[:, :, :-1] - x[:, :, 1:]
    >>> one, other = FitStatistics((1, 2)).update(x[0], y[0]), FitStatistics((1, 2)).update(x[1], y[1])
    >>> (one + other).solve().kernel.round(6)
    array([[ 1., -1.]])
    """

    def __init__(self, max_size: Any, *, dims: int | None = None, channels: bool = False, threads: Any = None) -> None:
        if not isinstance(channels, (bool, np.bool_)):
            raise ArgumentTypeError(f"`channels` must be True or False (got {channels!r})")
        count = len(max_size) if isinstance(max_size, (tuple, list)) else 2
        axes = whole_number("dims", count if dims is None else dims, 1, 3)
        self._layout = Layout(axes, bool(channels))
        self._taps = self._layout.taps(tuple(per_axis("max_size", max_size, axes, 1)))
        if int(np.prod(self._taps)) > MOST_TAPS:
            raise ArgumentError(f"`max_size` must be of at most {MOST_TAPS} taps (got {max_size!r})")
        self._threads = check_threads(threads)
        self._moments: Moments | None = None

    def __repr__(self) -> str:
        size = " x ".join(map(str, self.max_size))
        return f"<FitStatistics up to {size}, of {self.outputs} outputs>"

    @property
    def max_size(self) -> tuple[int, ...]:
        """Of the kernel whose sums are kept."""
        return self._layout.size(self._taps)

    @property
    def outputs(self) -> int:
        """So far."""
        return 0 if self._moments is None else self._moments.count

    def update(self, before: Any, after: Any, *, mask: Any = None, weights: Any = None) -> FitStatistics:
        """Add images: one pair, a stack, a list or an iterator; arguments as in `fit_kernel`. Returns itself.

        Either all images are added or, after an error, those before the one that is wrong."""
        for one in pairs(before, after, mask, weights):
            data = pair(self._layout, self._taps, *one)
            known = self._moments
            self._check_channels(data.x.shape[1], data.y.shape[1])
            middle = centres(data) if known is None else (known.before, known.after)
            found = moments(data, self._taps, *middle, How(threads=self._threads))
            self._moments = found if known is None else known + found
        return self

    def __add__(self, other: FitStatistics) -> FitStatistics:
        """Of the images of both."""
        if not isinstance(other, FitStatistics):
            return NotImplemented
        if (self._taps, self._layout) != (other._taps, other._layout):
            raise ArgumentError(
                f"statistics add up where `max_size` and the axes are alike, {self.max_size} (got {other.max_size})"
            )
        total = FitStatistics.__new__(FitStatistics)
        total._layout, total._taps, total._threads = self._layout, self._taps, self._threads
        parts = [part for part in (self._moments, other._moments) if part is not None]
        if len(parts) == 2:
            self._check_channels(parts[1].channels, parts[1].outputs)
        total._moments = None if not parts else parts[0] if len(parts) == 1 else parts[0] + parts[1]
        return total

    def solve(
        self,
        size: Any = None,
        *,
        background: bool = True,
        ridge: float | str = "auto",
        x_noise: float = 0.0,
        nonnegative: bool = False,
        symmetric: str | None = None,
        sum_to: float | None = None,
        prior: Any = None,
        criterion: str = "bic",
    ) -> KernelFit:
        """The kernel, by what is known so far. ``size``: ``max_size`` if not given, "auto", or any that is smaller.

        Other arguments as in `fit_kernel`; ``criterion``: "bic" or "aic". Error bars are for white noise, and what only
        residuals show is not looked for: they need the images.
        """
        known = self._known()
        one_of("criterion", criterion, ("bic", "aic"))
        chosen = options(
            self._layout.dims, self._layout.channels, self.max_size if size is None else size, self.max_size, None,
            background=background, ridge=ridge, errors="white", x_noise=x_noise, nonnegative=nonnegative,
            symmetric=symmetric, sum_to=sum_to, prior=prior, threads=self._threads,
        )  # fmt: skip
        curve = None
        if chosen.size is None:
            curve = size_curve(known, chosen.background, self._layout.dims, by=criterion, x_noise=chosen.x_noise)
        taps = self._layout.taps(chosen.size if curve is None else curve.chosen)  # type: ignore[arg-type]
        if any(k > most for k, most in zip(taps, self._taps, strict=True)):
            raise ArgumentError(f"`size` must be at most `max_size`, {self.max_size} (got {size!r})")
        return estimate(known.within(taps), [], chosen, curve, True)[0]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Into one file, in NumPy's npz format, whole or not at all. Raises FileError."""
        known = self._known()
        with replacing(path) as stream:
            np.savez(
                stream,
                format=FORMAT,
                axes=(self._layout.dims, int(self._layout.channels)),
                taps=self._taps,
                weight=known.weight,
                count=known.count,
                **{name: getattr(known, name) for name in FIELDS},
            )

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, threads: Any = None) -> FitStatistics:
        """What `save` has written. Never runs code from the file. Raises FileError if it is not such a file."""
        try:
            with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as file:
                content = {name: file[name] for name in (*FIELDS, "format", "axes", "taps", "weight", "count")}
        except (OSError, ValueError, KeyError, zipfile.BadZipFile, EOFError) as error:
            raise FileError(f"{os.fspath(path)}: not statistics of a fit ({error})") from error
        if int(content["format"]) != FORMAT:
            raise FileError(f"{os.fspath(path)}: written by another version (format {int(content['format'])})")
        dims, channels = (int(v) for v in content["axes"])
        taps = tuple(int(v) for v in content["taps"])
        found = cls(taps[3 - dims :], dims=dims, channels=bool(channels), threads=threads)
        known = Moments(
            taps=found._taps,
            weight=float(content["weight"]),
            count=int(content["count"]),
            **{name: content[name].astype(np.float64) for name in FIELDS},
        )
        if not known.consistent:
            raise FileError(f"{os.fspath(path)}: not statistics of a fit (shapes do not belong together)")
        found._moments = known
        return found

    def _known(self) -> Moments:
        if self._moments is None:
            raise ArgumentError("statistics of no images: call `update` first")
        return self._moments

    def _check_channels(self, channels: int, outputs: int) -> None:
        known = self._moments
        if known is None:
            if channels * int(np.prod(self._taps)) > MOST_TAPS:
                raise ArgumentError(
                    f"`max_size` must be of at most {MOST_TAPS} taps in all channels together "
                    f"(got {self.max_size} for {channels})"
                )
            return
        for name, wanted, got in (("before", known.channels, channels), ("after", known.outputs, outputs)):
            if wanted != got:
                raise ArgumentError(f"`{name}` must have {wanted} channels, as the images before had (got {got})")
