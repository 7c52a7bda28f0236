"""What a routine with pixels in the lanes and a panel of copied rows depends on, and the numbers it starts with."""

from __future__ import annotations

from dataclasses import dataclass

from .sums import Block
from .writer import BaseWriter

FIELDS = (
    # the arrays
    *("image", "result", "weights", "bias"),
    # units: ((((image * group ranges + range) * planes + plane) * bands + band) * panels + panel)
    *(
        "groups",
        "group_range",
        "group_ranges",
        "planes",
        "bands",
        "panels",
        "band_rows",
        "rows_out",
        "columns_out",
        "panel_columns",
    ),
    *("image_batch", "image_group", "image_channel", "image_plane", "image_row", "image_column"),
    *("result_batch", "result_group", "result_channel", "result_plane", "result_row", "result_column"),
    *("weight_group", "weight_block", "channels", "outputs", "blocks"),
    # taps: planes of them; chunks of rows; where each column lies in a row of the panel
    *("tap_planes", "plane_map", "tap_chunks", "tap_columns", "chunk_bytes"),
    # the panel
    *("panel_channel", "panel_plane", "panel_rows", "row_map", "column_map", "reach"),
    *("column_first", "column_stop", "column_lead"),
    *("chain", "floor", "ceiling", "zeros"),
    *("at_panel", "at_sums", "at_spare"),
)


@dataclass(frozen=True)
class AcrossSpec(Block):
    """Everything that changes the generated code of one routine. The lanes hold neighbouring columns of a result."""

    tap_columns: int
    phases: int  # stride of the columns
    phase_bytes: int  # from one phase of a row of the panel to the next
    width: int  # columns of a result that is no wider than a block; 0 where it is wider
    chained: bool  # long sums are taken in pieces
    algorithm: str = "layer across"

    @property
    def row_bytes(self) -> int:
        """From one row of the panel to the next."""
        return self.phases * self.phase_bytes


class Writer(BaseWriter[AcrossSpec]):
    """What all functions of one routine share."""

    fields = FIELDS
