"""The command line, image files, the tour and the benchmark. Needs the extra: `pip install kernelwise[app]`."""
