"""Canny's passes: gradient and thinning tile by tile, candidates as bits, hysteresis on words of bits."""
