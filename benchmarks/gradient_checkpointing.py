"""What gradient checkpointing saves of memory and costs of time, at BERT-base's sizes.

    python -m benchmarks.gradient_checkpointing [--batch 16] [--tokens 64] [--layers 12]

Weights are random and tokens made up, since neither decides memory or speed. One step is a forward
and a backward pass. Memory is what the tensors take that are kept for the backward pass, each
counted once (``torch.autograd.graph.saved_tensors_hooks``), weights left out: what grows with the
batch.
"""

from __future__ import annotations

import argparse
import time
from statistics import median

import torch
from transformers import BertConfig, BertModel


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("batch", 16), ("tokens", 64), ("layers", 12), ("rounds", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    torch.manual_seed(0)
    network = BertModel(BertConfig(num_hidden_layers=options.layers)).train()
    tokens = torch.randint(0, 1000, (options.batch, options.tokens))
    print("| | kept for the way back | processor time of a step |\n|---|---|---|")
    kept: list[float] = []
    seconds: list[float] = []
    for name in ("plain", "checkpointed"):
        if name == "checkpointed":
            network.activation_checkpointing_enable({"use_reentrant": False})
        kept.append(kept_bytes(network, tokens) / 2**20)
        seconds.append(median(step(network, tokens) for _ in range(options.rounds)))
        print(f"| {name} | {kept[-1]:,.0f} MiB | {seconds[-1]:.2f} s |")
    print(f"| ratio | {kept[1] / kept[0]:.2f} | {seconds[1] / seconds[0]:.2f} |")


def kept_bytes(network: BertModel, tokens: torch.Tensor) -> int:
    """Bytes of the tensors that the way back needs, weights left out."""
    weights = {parameter.untyped_storage().data_ptr() for parameter in network.parameters()}
    sizes: dict[int, int] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        network(tokens).last_hidden_state.sum()
    return sum(sizes.values())


def step(network: BertModel, tokens: torch.Tensor) -> float:
    """Processor seconds of a step."""
    began = time.process_time()
    network(tokens).last_hidden_state.sum().backward()
    network.zero_grad()
    return time.process_time() - began


if __name__ == "__main__":
    main()
