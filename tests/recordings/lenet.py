"""Records what LeNet prints under MXNet, trained on digits by examples/mxnet/train.py.

In the folder tests:
    python -m recordings.lenet FILE      records it again, under Python 3.10 with mxnet 1.9.1; FILE is scikit-learn's
                                         digits.csv.gz

Nothing sets a seed: MXNet's is 0. MXNET_MKLDNN_ENABLED=0, as in the other recordings.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).parents[2] / "examples" / "mxnet" / "train.py"
PRINTED = Path(__file__).with_name("mxnet_lenet.json")
TRAININGS = ("lenet --epochs 5", "lenet --epochs 8 --batch 32 --rate 0.002 --optimizer adam")


def main(file):
    """The recording."""
    os.environ |= {"MXNET_MKLDNN_ENABLED": "0", "MXNET_STORAGE_FALLBACK_LOG_VERBOSE": "0"}
    found = {}
    for options in TRAININGS:
        command = [sys.executable, str(PROGRAM), *options.split(), "--file", file]
        run = subprocess.run(command, capture_output=True, text=True, check=True)
        found[options] = run.stdout.splitlines()
    PRINTED.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
