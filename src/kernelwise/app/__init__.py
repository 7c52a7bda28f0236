"""The command line, image files, the tour and the benchmark. Needs the extra: `pip install kernelwise[app]`."""

INTERRUPTED = 130  # the exit code after Ctrl-C, as shells give it: 128 + SIGINT
