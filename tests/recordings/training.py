"""Runs the programs of mxnet_training.json, small ones that train, measure and load, and says what each does.

In the folder tests:
    python -m recordings.training mxnet recordings/mxnet_training.json  records it again, under Python 3.10, mxnet 1.9.1
    python -m recordings.training kernelwise.mxnet answers.json         what the door does now

Answers are those of behaviour.py. Nothing sets a seed: it is 0. Temporary folders are written FOLDER.
"""

import json
import re
import sys
import tempfile
from pathlib import Path

from recordings.behaviour import in_a_child, in_a_thread, names

PROGRAMS = Path(__file__).with_name("mxnet_training.json")


def main(module, target):
    """Answers to all programs into a file."""
    space = None if module == "mxnet" else names(module)
    found = json.loads(PROGRAMS.read_text(encoding="utf-8"))
    for one in found:
        one["answer"] = in_a_child(one["code"], module) if space is None else in_a_thread(one["code"], space)
    text = json.dumps(found, indent=1, ensure_ascii=False)
    text = re.sub(re.escape(tempfile.gettempdir()) + r"/tmp\w+", "FOLDER", text)
    Path(target).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
