"""Two processes on gloo against one on the joint batch."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.training.losses.test_cached import LOSSES
from tests.training.processes import RECIPES, RERANKERS, run
from tests.training.support import assert_same_weights, changed, coloured_pairs, weights
from unisem import load_encoder
from unisem.training.loop.checkpoints import checkpoints, read_checkpoint

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


@pytest.mark.slow
def test_gradients_of_two_processes_are_those_of_the_joint_batch(tmp_path: Path) -> None:
    for processes in (1, 2):
        run(processes, "-c", _PROGRAM, str(tmp_path))
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
def test_two_processes_train_what_one_does(tiny: Path, tmp_path: Path) -> None:
    """15 pairs in batches of 6: three steps of 5 pairs, of which one process has 3 and one 2."""
    names = ",".join(RECIPES)
    train(1, tiny, tmp_path, "one", names, 15)
    train(2, tiny, tmp_path, "two", names, 15)
    for name in RECIPES:
        assert changed(tiny, tmp_path / "one" / name), name
        assert_same_weights(tmp_path / "one" / name, tmp_path / "two" / name, 1e-5)


@pytest.mark.slow
def test_a_divided_model_is_trained_as_a_whole_one(tiny: Path, tmp_path: Path) -> None:
    names = "infonce,translation,lora,accumulated,cached,remined,guided,stopped"
    train(1, tiny, tmp_path, "whole", names, 12)
    train(2, tiny, tmp_path, "divided", names, 12, divided=True)
    for name in names.split(","):
        assert changed(tiny, tmp_path / "whole" / name), name
        assert_same_weights(tmp_path / "whole" / name, tmp_path / "divided" / name, 1e-5)
        load_encoder(str(tmp_path / "divided" / name))


@pytest.mark.slow
def test_rerankers_are_trained_by_two_processes_as_by_one(tiny: Path, tmp_path: Path) -> None:
    """17 pairs in batches of 8: of the last one, a process has a pair and the other none.

    What is added to all keys of an attention, or to all scores of a softmax, changes nothing: its
    gradient is what rounding leaves, which Adam makes steps of. Those biases are left out.
    """
    names = ",".join(RERANKERS)
    train(1, tiny, tmp_path, "one", names, 17)
    train(2, tiny, tmp_path, "two", names, 17)
    for name in RERANKERS:
        one, two = (weights(tmp_path / output / name) for output in ("one", "two"))
        assert one.keys() == two.keys()
        for weight, ours in one.items():
            theirs = two[weight]
            if weight.endswith("_in.bias"):  # of queries, keys and values, or of keys and values
                keys = len(ours) // 16 - 2
                ours, theirs = (side.unflatten(0, (-1, 16)).clone() for side in (ours, theirs))
                ours[keys], theirs[keys] = 0, 0
            if "verdict_head" not in weight or not weight.endswith("bias") or name == "itm":
                torch.testing.assert_close(theirs, ours, rtol=0, atol=1e-5, msg=weight)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "divided"), [("reversal", False), ("infonce", True)])
def test_processes_that_die_are_resumed_to_the_same_weights(
    tiny: Path, tmp_path: Path, name: str, divided: bool
) -> None:
    """One is killed in the middle of an epoch, the other does not wait; dropout goes on in both."""
    train(2, tiny, tmp_path, "whole", f"{name}~", 12, divided=divided)
    train(2, tiny, tmp_path, "cut", f"{name}~5", 12, divided=divided, fails=True)
    (*_, last) = checkpoints(tmp_path / "cut" / f"{name}.training" / "checkpoints")
    assert last.name == "checkpoint-4"
    tensors, _ = read_checkpoint(last)
    assert not torch.equal(tensors["random.0.torch"], tensors["random.1.torch"])
    train(2, tiny, tmp_path, "cut", f"{name}~+", 12, divided=divided)
    assert_same_weights(tmp_path / "cut" / name, tmp_path / "whole" / name)
    assert weights(tmp_path / "whole" / name)


def train(
    processes: int,
    start: Path,
    folder: Path,
    output: str,
    names: str,
    count: int,
    *,
    divided: bool = False,
    fails: bool = False,
) -> None:
    """Train recipes in several processes; see `tests.training.processes.train_all`."""
    coloured_pairs(folder / "pairs", count)
    kind = "rerankers" if names.partition("~")[0].partition(",")[0] in RERANKERS else "encoders"
    command = ["-m", "tests.training.processes", kind, str(start), str(folder / "pairs")]
    command += [str(folder / output), names, str(count)]
    run(processes, *command, *(["divided"] if divided else []), fails=fails)
