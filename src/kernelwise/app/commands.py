"""The commands of `kernelwise`: what they read, call and print."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from typer.core import TyperGroup

import kernelwise as kw

from ..errors import ArgumentError, KernelwiseError
from . import INTERRUPTED, edge_command, files, fit_command, kernels, options, shades
from .terminal import NAME_WIDTH, describe, fail, say


class Commands(TyperGroup):
    """Errors that a user can cause are one red line and exit code 1; Ctrl-C is exit code 130."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; see the class."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # `kernelwise ... | head`: the reader has seen enough
            raise
        except (KernelwiseError, OSError) as error:
            fail(str(error))
            raise typer.Exit(1) from None
        except KeyboardInterrupt:
            fail("interrupted")
            raise typer.Exit(INTERRUPTED) from None


app = typer.Typer(
    cls=Commands,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"kernelwise {kw.__version__}")
        raise typer.Exit


@app.callback()
def every_command(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """Convolution: apply a kernel, see how it is done, learn a kernel from examples."""


@app.command()
def correlate(
    image: Annotated[Path, typer.Argument(help="PNG, JPEG, TIFF, BMP, WebP, GIF or .npy.", show_default=False)],
    kernel: options.Kernel,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help=".npy and .tif keep the numbers; .png, .jpg, .bmp, .webp show them."),
    ],
    mode: options.ModeOption = options.Mode.SAME,
    border: options.BorderOption = options.Border.REFLECT,
    fill: options.Fill = "0",
    anchor: options.Anchor = None,
    stride: options.Stride = "1",
    dilation: options.Dilation = "1",
    axes: options.Axes = None,
    convolve: options.Convolve = False,
    nan: options.NanOption = options.Nan.PROPAGATE,
    dtype: options.Dtype = None,
    gray: Annotated[bool, typer.Option("--gray", help="Take the brightness of a colour image (BT.601).")] = False,
    scale: Annotated[
        shades.Scale,
        typer.Option(help="How numbers become 8 bits in a picture: auto (signed results around grey), none, abs."),
    ] = shades.Scale.AUTO,
    threads: options.Threads = None,
    max_megapixels: options.Megapixels = options.DEFAULT_MEGAPIXELS,
) -> None:
    """Apply a kernel to an image or an array, and say what was done."""
    suffix = files.check_suffix(output)
    taps = kernels.load(kernel)
    arguments: dict[str, Any] = {
        "mode": mode.value,
        "border": border.value,
        "fill": options.number(fill, "--fill"),
        "anchor": None if anchor is None else options.one_or_each(anchor, "--anchor"),
        "stride": options.one_or_each(stride, "--stride"),
        "dilation": options.one_or_each(dilation, "--dilation"),
        "nan": nan.value,
        "dtype": None if dtype is None else options.dtype(dtype, "--dtype"),
        "threads": threads,
    }
    picture = read(image, max_megapixels)
    x = shades.luma(picture.pixels) if gray and picture.is_colour else picture.pixels
    arguments["axes"] = chosen_axes(axes, colour=picture.is_image and x.ndim == 3)
    taps = fitting_rank(taps, x)
    result = (kw.convolve if convolve else kw.correlate)(x, taps, **arguments)
    say(kernel if len(kernel) <= NAME_WIDTH else "kernel", describe(taps))
    say("result", describe(result))
    if suffix in files.PICTURES and not (suffix == ".png" and result.dtype == np.uint16 and result.ndim == 2):
        shown = shades.to_8bit(result, scale, kernel=taps, white=shades.white_of(x))
        files.write(output, shown.pixels)
        say(output.name, shown.said)
    else:
        files.write(output, result)
        say(output.name, f"the numbers, as {result.dtype}")


app.command()(edge_command.edges)
app.command()(fit_command.fit)


def read(path: Path, max_megapixels: float) -> files.Picture:
    """The picture or array in `path`, told on the terminal."""
    picture = files.read(path, max_pixels=options.pixels(max_megapixels))
    say(path.name, "; ".join([describe(picture.pixels), *picture.notes]))
    return picture


def chosen_axes(text: str | None, *, colour: bool) -> tuple[int, ...] | None:
    """The axes asked for; (0, 1) for colour; else None, the last ones."""
    if text is not None:
        return options.each_axis(text, "--axes")
    return (0, 1) if colour else None


def fitting_rank(taps: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Taps written in one row are a kernel of one axis for a signal of one axis."""
    return taps[0] if x.ndim == 1 and taps.ndim == 2 and len(taps) == 1 else taps


@app.command()
def explain(
    image: Annotated[str, typer.Argument(metavar="SHAPE|IMAGE", help="A shape such as 1080x1920, or an image file.")],
    kernel: options.Kernel,
    mode: options.ModeOption = options.Mode.SAME,
    border: options.BorderOption = options.Border.REFLECT,
    stride: options.Stride = "1",
    dilation: options.Dilation = "1",
    axes: options.Axes = None,
    image_dtype: Annotated[
        str, typer.Option("--dtype", help="NumPy dtype of the image, where a SHAPE is given.")
    ] = "uint8",
    ir: Annotated[bool, typer.Option("--ir", help="Print the LLVM IR that the plan generates.")] = False,
    asm: Annotated[bool, typer.Option("--asm", help="Print the assembly that the plan compiles to.")] = False,
    max_megapixels: options.Megapixels = options.DEFAULT_MEGAPIXELS,
) -> None:
    """Print the plan: the algorithm, the reason for it, and what it costs. Nothing is computed."""
    size = options.shape(image)
    if size is None:
        picture = read(Path(image), max_megapixels)
        x, colour = picture.pixels, picture.is_colour
    else:
        x = np.broadcast_to(np.zeros((), options.dtype(image_dtype, "--dtype")), size)
        colour = len(size) == 3 and size[2] == 3
        if colour and axes is None:
            say(image, "taken as a colour image: the kernel moves along the axes 0,1")
    plan = kw.explain(
        x,
        fitting_rank(kernels.load(kernel), x),
        mode=mode.value,
        border=border.value,
        stride=options.one_or_each(stride, "--stride"),
        dilation=options.one_or_each(dilation, "--dilation"),
        axes=chosen_axes(axes, colour=colour),
    )
    typer.echo(str(plan))
    for asked, method in ((ir, "ir"), (asm, "asm")):
        if asked:
            typer.echo(generated(plan, method))


def generated(plan: Any, method: str) -> str:
    """The text of `plan.ir()` or `plan.asm()`; ArgumentError for an algorithm that generates no code."""
    if not hasattr(plan, method):
        raise ArgumentError(f"this plan has no code to print with --{method}")
    return str(getattr(plan, method)())


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
    add_help_option=False,
)
def bench(context: typer.Context) -> None:
    """Measure speed beside other libraries; --quick takes minutes, --full an hour; --help tells the rest."""
    from .bench import main

    raise typer.Exit(main(context.args) or 0)


@app.command()
def tour(
    photo: Annotated[
        Path | None, typer.Argument(help="A photograph of your own; a portrait that comes along if not given.")
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder for tour.png.")] = Path("."),
    max_megapixels: options.Megapixels = options.DEFAULT_MEGAPIXELS,
) -> None:
    """Four steps on small arrays, the same on a photograph, and a picture of it all. Every claim is checked."""
    from .tour import take

    if not take(photo, output, max_pixels=options.pixels(max_megapixels)):
        fail("a claim of the tour does not hold here: see the lines marked above")
        raise typer.Exit(1)
