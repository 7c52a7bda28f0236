"""Fourier: overlap-save with a transform that is generated for the size of its tiles.

The image is cut into tiles that overlap by the reach of the kernel. Two real tiles are the real and the imaginary part
of one complex tile; its columns are transformed, then its rows, the product with the kernel's spectrum is taken, and
the way back is the same. Borders are resolved while a tile is loaded. Planes of a volume are added up in the
spectrum. A kernel with one axis goes along lines: a long transform done as a square one with a twist.

Error: every output is within c * u * |k| * sqrt(n) * max |x| of the definition: |k| is the Euclidean norm of the
kernel, n the number of pixels of its tile in the planes under the kernel, max |x| the largest in all planes of its
group. A bound with the norm of the tile's own pixels would not hold: the other tile of the pair has as large a largest
pixel, after both have been scaled, but perhaps more of them. Where pixels of a tile differ too much in size for that to
be of use, or are not finite, the tile is done directly.
"""
