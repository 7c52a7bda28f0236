"""Layers: many channels in, many channels out.

`direct` keeps output channels in the lanes of a vector. A block of sums, a dozen neighbouring pixels by two vectors of
channels, stays in registers while all taps and input channels run by; each pixel of the input is broadcast. Padding is
resolved while the rows of a unit are copied into a panel, which stays in the second-level cache; nothing else is
copied.
"""
