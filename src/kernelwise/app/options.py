"""The options that several commands share, and the little languages of their values."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Any

import numpy as np
import typer

from .files import MAX_PIXELS

MEGAPIXEL = 1_000_000


class Mode(StrEnum):
    """Which outputs there are."""

    SAME = "same"
    VALID = "valid"
    FULL = "full"


class Border(StrEnum):
    """What is outside the image, in the words of `np.pad`."""

    CONSTANT = "constant"
    EDGE = "edge"
    REFLECT = "reflect"
    SYMMETRIC = "symmetric"
    WRAP = "wrap"


class Nan(StrEnum):
    """What a NaN in the image does."""

    PROPAGATE = "propagate"
    OMIT = "omit"


def each_axis(text: str, option: str) -> tuple[int, ...]:
    """The whole numbers between commas: "2,1" is (2, 1). typer.BadParameter, naming the option, for anything else."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        message = f"{text!r} is not a whole number, or several with commas between, such as 2 or 2,1"
        raise typer.BadParameter(message, param_hint=option) from None


def one_or_each(text: str, option: str) -> int | tuple[int, ...]:
    """As each_axis, but a single number stands for all axes."""
    numbers = each_axis(text, option)
    return numbers[0] if len(numbers) == 1 else numbers


def number(text: str, option: str) -> int | float:
    """A whole number stays exact ("0" is 0), any other is a float."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    raise typer.BadParameter(f"{text!r} is not a number", param_hint=option)


def dtype(text: str, option: str) -> np.dtype[Any]:
    """The NumPy dtype of that name; typer.BadParameter for one that NumPy does not know or that is no number."""
    try:
        found = np.dtype(text)
    except TypeError:
        found = np.dtype(object)
    if found.kind not in "biufc":
        raise typer.BadParameter(f"{text!r} is not a numeric dtype, such as uint8, int32 or float32", param_hint=option)
    return found


def shape(text: str) -> tuple[int, ...] | None:
    """The shape written "1080x1920"; None for a text that is no shape."""
    return tuple(int(part) for part in text.split("x")) if re.fullmatch(r"\d+(x\d+)*", text) else None


def pixels(megapixels: float) -> int:
    """Million pixels as pixels."""
    return int(megapixels * MEGAPIXEL)


Kernel = Annotated[
    str,
    typer.Option(
        "--kernel",
        "-k",
        help="A name such as sobel-x, box-5 or gaussian:1.5; or the taps, '1,-1' or '0,1,0;1,-4,1;0,1,0' "
        "(rows between semicolons); or a .npy or .csv file.",
    ),
]
ModeOption = Annotated[
    Mode, typer.Option("--mode", help="An output for every pixel, for windows wholly inside, or for all that touch.")
]
BorderOption = Annotated[Border, typer.Option("--border", help="What is outside the image, in the words of np.pad.")]
Fill = Annotated[str, typer.Option("--fill", metavar="NUMBER", help="The value outside, for --border constant.")]
Anchor = Annotated[
    str | None,
    typer.Option("--anchor", metavar="ROW,COLUMN", help="The tap above the output's pixel; the centre if not given."),
]
Stride = Annotated[str, typer.Option("--stride", metavar="N or N,N", help="Keep every N-th output along each axis.")]
Dilation = Annotated[str, typer.Option("--dilation", metavar="N or N,N", help="Pixels from one tap to the next.")]
Axes = Annotated[
    str | None,
    typer.Option(
        "--axes", metavar="A,A", help="The axes the kernel moves along; if not given 0,1 for colour, else the last."
    ),
]
NanOption = Annotated[
    Nan, typer.Option("--nan", help="A NaN spoils every output whose window holds it, or is left out of the sum.")
]
Dtype = Annotated[
    str | None,
    typer.Option("--dtype", help="NumPy dtype of the result; what does not fit saturates. Exact if not given."),
]
Convolve = Annotated[bool, typer.Option("--convolve", help="Convolve (kernel flipped) instead of correlate.")]
Threads = Annotated[int | None, typer.Option("--threads", min=1, help="Threads to use; as many as cores if not given.")]
Megapixels = Annotated[
    float, typer.Option("--max-megapixels", min=0, help="Images with more million pixels are refused before decoding.")
]
DEFAULT_MEGAPIXELS = MAX_PIXELS / MEGAPIXEL
