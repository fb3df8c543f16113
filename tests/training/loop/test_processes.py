"""Two processes on gloo against one on the joint batch."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.training.losses.test_cached import LOSSES

_PROGRAM = """
import os, sys, torch
from pathlib import Path
from safetensors.torch import save_file
from torch.nn.parallel import DistributedDataParallel
from tests.training.losses.test_cached import LOSSES, Towers
from unisem.training.losses import CachedLoss, EmbeddingLoss

torch.set_num_threads(1)
torch.distributed.init_process_group("gloo")
rank, world = torch.distributed.get_rank(), torch.distributed.get_world_size()
generator = torch.Generator().manual_seed(1)
texts, images, negatives = (torch.randn(8, 5, generator=generator) for _ in range(3))
ids = torch.tensor([[0, 1, 2, 0, 4, 5, 6, 1], [0, 1, 2, 3, 3, 5, 6, 7]]).T
wrong = torch.tensor([[20 + n, 20 + n] for n in range(8)])
wrong[5] = ids[2]
mine = slice(rank * 8 // world, (rank + 1) * 8 // world)
features = [
    {"input_ids": texts[mine]},
    {"pixel_values": torch.cat([images[mine], negatives[mine]])},
]
labels = torch.cat([ids[mine], wrong[mine]])
for name in LOSSES:
    for cached in (False, True):
        model = DistributedDataParallel(Towers()) if world > 1 else Towers()
        loss = LOSSES[name]()
        module = EmbeddingLoss(model, loss)
        if cached:
            module = CachedLoss(model, loss, mini_batch_size=3)
        value = module(features, labels)
        value.backward()
        found = {
            n.replace("model.module.", "model."): p.grad
            for n, p in module.named_parameters()
            if p.grad is not None
        }
        found["value"] = value.detach().reshape(1)
        save_file(found, f"{sys.argv[1]}/{world}-{rank}-{name}-{cached}.safetensors")
"""


def run(folder: Path, processes: int, *command: str) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    started = []
    for rank in range(processes):
        variables = os.environ | {
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": str(processes),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": port,
            "OMP_NUM_THREADS": "1",
        }
        started.append(
            subprocess.Popen(
                [sys.executable, *command], env=variables, stderr=subprocess.PIPE, text=True
            )
        )
    for process in started:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors


@pytest.mark.slow
def test_gradients_of_two_processes_are_those_of_the_joint_batch(tmp_path: Path) -> None:
    for processes in (1, 2):
        run(tmp_path, processes, "-c", _PROGRAM, str(tmp_path))
    for name in LOSSES:
        for cached in (False, True):
            one = load_file(tmp_path / f"1-0-{name}-{cached}.safetensors")
            if name == "info_nce":
                assert any("log_scale" in parameter for parameter in one)
            for rank in (0, 1):
                two = load_file(tmp_path / f"2-{rank}-{name}-{cached}.safetensors")
                assert two.keys() == one.keys()
                for parameter, gradient in one.items():
                    assert gradient.abs().max() > 1e-4
                    torch.testing.assert_close(two[parameter], gradient, rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("freeze", ["()", "None"])
def test_two_processes_train_the_encoder_that_one_does(
    tiny: Path, tmp_path: Path, freeze: str
) -> None:
    """The same batches, half in each process; without dropout the weights are the same."""
    program = textwrap.dedent(
        f"""
        import os, sys, torch
        from pathlib import Path
        from tests.training.support import coloured_pairs
        from unisem import load_encoder
        from unisem.training import Recipe, train_encoder
        torch.set_num_threads(1)
        world = int(os.environ["WORLD_SIZE"])
        pairs = coloured_pairs(Path({str(tmp_path)!r}) / f"c{{os.environ['RANK']}}-{{world}}", 12)
        encoder = load_encoder({str(tiny)!r})
        for module in encoder.model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        train_encoder(
            encoder, pairs, sys.argv[1],
            recipe=Recipe(epochs=3, batch_size=12 // world, freeze={freeze}, learning_rate=1e-3),
        )
        """
    )
    for processes in (1, 2):
        run(tmp_path, processes, "-c", program, str(tmp_path / f"out{processes}"))
    compared = 0
    for path in (tmp_path / "out1").rglob("*.safetensors"):
        one = load_file(path)
        two = load_file(tmp_path / "out2" / path.relative_to(tmp_path / "out1"))
        for name, tensor in one.items():
            torch.testing.assert_close(two[name], tensor, rtol=0, atol=1e-4, msg=name)
            compared += 1
    assert compared > 10
