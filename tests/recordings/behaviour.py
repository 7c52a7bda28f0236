"""Runs the programs of a recording, each as if it were alone, and says what each does.

mxnet_behaviour.json has pieces of code of all kinds, mxnet_blocks.json small programs with gluon's blocks and
parameters, mxnet_training.json ones that train, measure and load. In the folder tests:
    python -m recordings.behaviour mxnet recordings/mxnet_blocks.json
        records it again, under Python 3.10 with mxnet 1.9.1
    python -m recordings.behaviour kernelwise.mxnet recordings/mxnet_blocks.json answers.json
        what the door does now

Nothing sets a seed: it is 0. Temporary folders are written FOLDER.
An answer has the repr of the last expression (`value`), what was printed (`prints`), warnings (`warns`), and the class
(`error`) and text (`message`) of what was raised; or the signal that the process died of (`dies`).
"""

import ast
import concurrent.futures
import contextlib
import importlib
import io
import json
import os
import re
import sys
import tempfile
import warnings
from pathlib import Path


def names(module):
    """What a snippet may use."""
    mx = importlib.import_module(module)
    parts = {name: importlib.import_module(f"{module}.{name}") for name in ("ndarray", "autograd", "gluon")}
    import numpy as np

    return {
        "mx": mx,
        "nd": parts["ndarray"],
        "autograd": parts["autograd"],
        "gluon": parts["gluon"],
        "init": mx.init,
        "nn": importlib.import_module(f"{module}.gluon.nn"),
        "np": np,
    }


def answer(code, space):
    """What the code does."""
    printed, found = io.StringIO(), {}
    wait = space["nd"].waitall
    try:
        tree = ast.parse(code)
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        with warnings.catch_warnings(record=True) as caught, contextlib.redirect_stdout(printed):
            warnings.simplefilter("always")
            exec(compile(tree, "s", "exec"), space)
            if last is not None:
                value = eval(compile(ast.Expression(last.value), "s", "eval"), space)
                if value is not None:
                    found["value"] = repr(value)
            wait()
        if caught:
            found["warns"] = [f"{one.category.__name__}: {one.message}" for one in caught]
    except BaseException as error:
        message = str(error).partition("\nStack trace")[0]
        found["error"] = f"{type(error).__module__}.{type(error).__name__}"
        found["message"] = re.sub(r"\[\d\d:\d\d:\d\d\] ", "[TIME] ", message)
        with contextlib.suppress(Exception):
            wait()
    if printed.getvalue():
        found["prints"] = printed.getvalue()
    return found


def in_a_child(code, module):
    """`answer` in a forked process, so that no snippet knows of another."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        with os.fdopen(writing, "w") as out:
            json.dump(answer(code, names(module)), out)
            out.flush()
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as back:
        text = back.read()
    _, status = os.waitpid(child, 0)
    return json.loads(text) if text else {"dies": -os.waitstatus_to_exitcode(status)}


def in_a_thread(code, space):
    """`answer` with seed 0 and in a new thread, where names are counted from the start."""
    space["mx"].random.seed(0)
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        return thread.submit(answer_as_shown_before, code, dict(space)).result()


def answer_as_shown_before(code, space):
    """`answer` with numbers shown as NumPy showed them when MXNet's answers were recorded: 1.5, not np.float32(1.5)."""
    import numpy as np

    before = {"legacy": "1.25"} if int(np.__version__.partition(".")[0]) > 1 else {}
    with np.printoptions(**before):
        return answer(code, space)


def main(module, recording, target=None):
    """Answers to all of a recording's programs into a file, the recording itself if no other is given."""
    space = None if module == "mxnet" else names(module)  # MXNet's threads do not survive a fork
    found = json.loads(Path(recording).read_text(encoding="utf-8"))
    for one in found:
        one["answer"] = in_a_child(one["code"], module) if space is None else in_a_thread(one["code"], space)
    text = json.dumps(found, indent=1, ensure_ascii=False)
    text = re.sub(re.escape(tempfile.gettempdir()) + r"/tmp\w+", "FOLDER", text)
    Path(target or recording).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
