"""Data-parallel training, by the recipe of examples/parallel.py, is training in one process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
import torch
from safetensors.torch import load_file

import kernelwise

FOLDER = Path(__file__).parents[1] / "examples"
LOOPBACK = "lo0" if sys.platform == "darwin" else "lo"
EPOCHS, BATCH, PROCESSES = 1, 256, 2


def test_two_processes_train_as_one_does_with_the_whole_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch.distributed")
    source = str(Path(kernelwise.__file__).parents[1])
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([source, os.environ.get("PYTHONPATH", "")]),
        "WORLD_SIZE": str(PROCESSES),
        "GLOO_SOCKET_IFNAME": LOOPBACK,  # the name of the machine need not lead anywhere
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, str(FOLDER / "parallel.py"), "--epochs", str(EPOCHS), "--batch", str(BATCH)]
    command += ["--store", (tmp_path / "store").as_uri(), "--weights", str(tmp_path / "weights.safetensors")]
    processes = [
        subprocess.Popen(command, env=environment | {"RANK": str(rank)}, stderr=subprocess.PIPE, text=True)
        for rank in range(PROCESSES)
    ]
    try:
        alone = trained_alone(monkeypatch)
        ends = [process.communicate(timeout=120) for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0] * PROCESSES, [said for _, said in ends]
    together = load_file(tmp_path / "weights.safetensors")
    assert together.keys() == alone.keys()
    for name, weights in alone.items():
        torch.testing.assert_close(together[name], weights, rtol=1e-4, atol=1e-5)


def trained_alone(monkeypatch: pytest.MonkeyPatch) -> dict[str, torch.Tensor]:
    """The weights that one process comes to. They have moved far, and every image counts."""
    monkeypatch.syspath_prepend(FOLDER)
    import parallel

    torch.manual_seed(parallel.SEED)
    model = parallel.network()
    begin = {name: weights.clone() for name, weights in model.state_dict().items()}
    parallel.train(model, EPOCHS, BATCH)
    end = dict(model.state_dict())
    assert all((end[name] - begin[name]).abs().max() > 1e-3 for name in begin)
    return end
