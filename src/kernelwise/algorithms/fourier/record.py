"""What a Fourier routine is told, and what all of its functions share."""

from __future__ import annotations

from ...jit.ir import Module
from ..numbers import TYPES
from .spec import FourierSpec

FIELDS = (
    # the arrays
    *("image", "result", "flags"),
    # units: ((batch * groups + group) * pairs_down + pair) * pairs_across + pair
    *("groups", "pairs_down", "pairs_across", "batch_in", "batch_out"),
    # tiles of a pair: the first at pair * (down, across), the second next to it
    *("down", "across", "next_down", "next_across", "tiles_down", "tiles_across", "step_down", "step_across"),
    # planes: the sources of every group; for every plane of the result, which source lies under each tap
    *("planes_out", "plane_out", "group", "taps", "most_sources", "group_sources", "group_count", "source_of"),
    # rows and columns; columns in elements
    *("rows_out", "row_out", "row_map", "columns_out", "lead", "inside_stop"),
    *("left_map", "right_map", "fill_row", "zero_row", "copied"),
    # tables
    *("twiddles_down", "twiddles_across", "twist", "spectrum", "kernel_exponent"),
    # places in scratch memory
    *("at_rows", "at_stage", "stage_pitch", "at_column", "at_sources", "at_sum", "at_found"),
)


class Writer:
    """What all functions of one routine share."""

    def __init__(self, module: Module, spec: FourierSpec) -> None:
        self.module, self.spec, self.target = module, spec, module.target
        self.lanes = self.target.lanes(spec.sums.bytes)
        self.vector = spec.sums.type.of(self.lanes)
        self.bits = TYPES[spec.sums.bytes]  # integers as wide as the sums
        self.complex_bytes = 2 * self.vector.bytes
        self.down, self.across = spec.tile
        self.block_bytes = self.across * self.complex_bytes  # one vector of rows, all columns
        self.column_bytes = self.down * self.complex_bytes
        # of a float: where its exponent begins, the largest one of a finite number, and its bias
        self.mantissa, self.top, self.bias = (23, 254, 127) if spec.sums.bytes == 4 else (52, 2046, 1023)
