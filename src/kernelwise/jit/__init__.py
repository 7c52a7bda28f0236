"""Machine code at run time: writing it, compiling it, keeping it, running it. The only place that knows llvmlite."""
