"""Fourier lags: sums of A[q] * B[q + d] at many shifts d, by transforms of tiles whose spectra are added up.

A tile of a and the tile of b that it meets, larger by the shifts, are transformed; the conjugate of the one times the
other is the spectrum of their lag sums. Spectra are added up over up to CHAIN pairs of tiles before one transform back,
in float64, so that the way back costs next to nothing. Two real tiles are the real and the imaginary part of one
complex tile, of a as of b: the real part of what comes back is the sum of both tiles' lag sums.

Error: every sum is within 8 u * sqrt(sum a^2 * sum b^2) of the definition, u = 2^-24 or 2^-53: the norms are those of
all images together, less the constants that are taken from them. The error of a frequency is relative to what stands at
it, so that directions in which an image has little power are known as well as others. But where both stacks have a few
numbers far larger than the rest that meet at none of the shifts, the bound says little. A number that is not finite
spoils all sums of its part of the images: where a result is not finite, `lag_sums` does it again directly.
"""
