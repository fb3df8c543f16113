"""Several processes on gloo, as torchrun starts them, and what they train."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

RECIPES: dict[str, dict[str, Any]] = {
    "infonce": {"learned_temperature": True, "freeze": ()},
    "sigmoid": {"loss": "sigmoid", "freeze": ()},
    "triplet": {"loss": "triplet", "hard_negatives": 2},
    "reversal": {"adversary": "reversal", "freeze": ()},
    "translation": {"adversary": "translation", "loss": "sigmoid"},
    "lora": {"lora": 2, "freeze": (), "loss": "sigmoid"},
    "accumulated": {"accumulate": 2, "freeze": ("text",)},
    "cached": {"mini_batch_size": 2, "freeze": (), "loss": "sigmoid", "dimensions": (8,)},
    "remined": {"hard_negatives": 2, "remine": True, "negative_share": 1.0, "freeze": ()},
    "guided": {"guide": "start", "hard_negatives": 2, "freeze": ()},
    "stopped": {"patience": 2, "validation": 0.3, "loss": "sigmoid"},
}
"""Small runs by name: options of a `Recipe`; the guide is the start model."""

RERANKERS: dict[str, dict[str, Any]] = {
    "groups": {"group": 2, "hard_negatives": 1},
    "itm": {"loss": "itm", "random_negatives": 2, "patience": 2, "validation": 0.2},
    "contrastive": {"loss": "contrastive", "compared": "images", "checkpoint_steps": 2},
}
"""Small runs by name: options of a `CrossModalRecipe`."""

JOINT = 6
"""Pairs of a step, over all processes."""


def run(processes: int, *command: str, fails: bool = False) -> None:
    """Run a command of Python in several processes that are connected.

    Args:
        processes: How many.
        command: What follows the interpreter's name.
        fails: Whether every process is to end with an error.
    """
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
                [sys.executable, *command],
                env=variables,
                stderr=subprocess.PIPE,
                text=True,
                cwd=Path(__file__).parents[2],
            )
        )
    for process in started:
        _, errors = process.communicate(timeout=600)
        assert (process.returncode != 0) is fails, errors


def train_all(
    start: str, pairs: str, output: str, names: str, count: str = "15", divided: str = ""
) -> None:
    """Train recipes, each into a folder of its name.

    Args:
        start: The encoder.
        pairs: The folder of `coloured_pairs`, which are there.
        output: Where the folders go.
        names: Of recipes, with commas between them. ``name~`` drops out, which differs in several
            processes from what it is in one; ``name~5`` is killed after step 5; ``name~+`` resumed.
        count: Of pairs.
        divided: Whether the model is divided among the processes.
    """
    import torch

    from tests.training.support import coloured_pairs
    from unisem import load_encoder
    from unisem.training import Recipe, train_encoder

    torch.set_num_threads(1)
    if divided:
        watch_shares()
    processes = int(os.environ["WORLD_SIZE"])
    dataset = coloured_pairs(Path(pairs), int(count))
    for wanted in names.split(","):
        name, drops, after = wanted.partition("~")

        def stop(what: str, done: int, total: int, after: str = after) -> None:
            if what == "training" and str(done) == after:
                os.kill(os.getpid(), signal.SIGKILL)

        encoder = load_encoder(start)
        if not drops:
            keep_all(encoder)
        recipe = Recipe(
            epochs=4,
            batch_size=JOINT // processes,
            learning_rate=1e-3,
            seed=1,
            **{"interpolation": 1, **RECIPES[name]},
        )
        if recipe.guide is not None:
            recipe = replace(recipe, guide=start)
        place = Path(output) / name
        train_encoder(encoder, dataset, place, recipe=recipe, resume=after == "+", progress=stop)


def train_rerankers(start: str, pairs: str, output: str, names: str, count: str) -> None:
    """As `train_all`, with recipes of `RERANKERS`."""
    import torch

    from tests.training.support import coloured_pairs
    from unisem.training.cross_modal import CrossModalRecipe, train_reranker

    torch.set_num_threads(1)
    dataset = coloured_pairs(Path(pairs), int(count))
    for wanted in names.split(","):
        name, drops, after = wanted.partition("~")

        def stop(what: str, done: int, total: int, after: str = after) -> None:
            if what == "training" and str(done) == after:
                os.kill(os.getpid(), signal.SIGKILL)

        recipe = CrossModalRecipe(
            **{
                **{"side": 4, "width": 16, "layers": 1, "caption_layers": 1, "token_width": 8},
                **{"length": 8, "mined": 3, "hard_negatives": 2, "epochs": 4},
                "batch_size": 8 // int(os.environ["WORLD_SIZE"]),
                "dropout": 0.2 if drops else 0,
                **RERANKERS[name],
            }
        )
        train_reranker(
            start,
            dataset,
            Path(output) / name,
            held_out=dataset,
            recipe=recipe,
            resume=after == "+",
            progress=stop,
        )


def keep_all(encoder: Any) -> None:
    """Nothing drops out: processes would drop out other numbers than one would."""
    import torch

    for module in encoder.model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0


def watch_shares() -> None:
    """Fail if a process keeps much more than its share of a model that is to be divided."""
    from torch.distributed.tensor import DTensor

    from unisem.training.loop import trainer

    divide = trainer.shard

    def watched(model: Any) -> None:
        divide(model)
        parameters = list(model.parameters())
        assert all(isinstance(parameter, DTensor) for parameter in parameters)
        own = sum(parameter.to_local().numel() for parameter in parameters)
        assert own < 0.6 * sum(parameter.numel() for parameter in parameters)

    trainer.shard = watched


if __name__ == "__main__":
    (train_rerankers if sys.argv[1] == "rerankers" else train_all)(*sys.argv[2:])
