"""Layers: many channels in, many channels out.

The direct algorithm (`direct_code`, `direct_launch`) keeps output channels in the lanes of a vector. A block of sums, a
dozen neighbouring pixels by two vectors of channels, stays in registers while all taps and input channels run by; each
pixel of the input is broadcast. The image is read as it lies, taps outside it left out. Only where that cannot be
(borders other than zeros, rows with gaps between pixels, several short rows in a block) are the rows of a unit copied
into a panel, which stays in the second-level cache, and padded there.

Winograd's (`winograd`, `winograd_code`, `winograd_launch`) does layers of 3 x 3 taps with a quarter of the products, at
some loss of precision: pixels and weights are transformed, multiplied in the same kind of block, transformed back. A
unit does all three for its tiles, in memory of its own.

Layers with few outputs in a group have pixels in the lanes (`across`); depthwise ones are read as they lie (`rows`;
`last` for channels last). `slopes` and `slopes_winograd` are the gradients of weights.

`choice` says which of them does a layer, `plan` what every plan can do, `costs` how long it may take; `weights` packs
weights for layers with channels in the lanes.
"""
