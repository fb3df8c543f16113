"""Two models on `mini`'s frozen towers, one vector and many, for `benchmarks.late_interaction`."""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sentence_transformers.base.modules import Dense, Transformer
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.scenes_data import Scene, as_dataset
from unisem.encoders.mini import MODEL_DIRECTORY

Features = dict[str, tuple[Tensor, Tensor]]
"""Of each modality ``(n, t, w)`` tower outputs, and ``(n, t)`` which of them are tokens."""

SIDES = ("text", "image")
HIDDEN, WIDTH, BATCH = 128, 64, 64


def tower(side: str) -> Any:
    """One of `mini`'s towers, as a module that gives a vector for every token or place."""
    return Transformer(
        str(MODEL_DIRECTORY / f"{side}_0_Transformer"),
        model_kwargs={"use_safetensors": True, "dtype": torch.float32},
        modality_config={side: {"method": "forward", "method_output_name": "last_hidden_state"}},
        module_output_name="token_embeddings",
    ).eval()


@torch.inference_mode()
def features(towers: dict[str, Any], made: Sequence[Scene], folder: Path) -> Features:
    """What the towers say of scenes and captions; made once."""
    stored = folder.with_suffix(".pt")
    if stored.is_file():
        kept: Features = torch.load(stored, weights_only=True)
        return kept
    dataset = as_dataset(made, folder)
    captions = [scene.true[0] for scene in made]
    inputs = towers["text"].preprocess([{"text": text} for text in captions])
    texts = towers["text"](inputs)["token_embeddings"]
    images = []
    for start in range(0, len(made), 4):
        pictures = [pair.image.open() for pair in dataset.pairs[start : start + 4]]
        inputs_there = towers["image"].preprocess([{"image": picture} for picture in pictures])
        images.append(towers["image"](inputs_there)["token_embeddings"].half())
    places = torch.cat(images)
    found: Features = {
        "text": (texts, inputs["attention_mask"].bool()),
        "image": (places, torch.ones(places.shape[:2], dtype=torch.bool)),
    }
    torch.save(found, stored)
    return found


class Heads(nn.Module):
    """Two linear layers for each side over the towers, and one vector or many."""

    def __init__(self, train: Features, pooled: bool, seed: int) -> None:
        super().__init__()
        self.pooled = pooled
        torch.manual_seed(seed)
        token = {"module_input_name": "token_embeddings", "module_output_name": "token_embeddings"}
        self.sides = nn.ModuleDict(
            {
                side: nn.Sequential(
                    Dense(train[side][0].shape[-1], HIDDEN, activation_function=nn.GELU(), **token),
                    Dense(HIDDEN, WIDTH, activation_function=nn.Identity(), **token),
                )
                for side in SIDES
            }
        )
        self.scale = nn.Parameter(torch.tensor(20.0).log())

    def forward(self, side: str, vectors: Tensor, mask: Tensor) -> Tensor:
        """``(n, t, w)`` unit vectors of tokens, 0 where there is none; ``(n, w)`` if pooled."""
        made: Tensor = self.sides[side]({"token_embeddings": vectors.float()})["token_embeddings"]
        there = mask[..., None].float()
        if self.pooled:
            return functional.normalize((made * there).sum(1) / there.sum(1), dim=-1)
        return functional.normalize(made, dim=-1) * there

    def scores(self, texts: Tensor, images: Tensor, mask: Tensor) -> Tensor:
        """``(n, m)`` cosines, or the means over tokens of MaxSim."""
        if self.pooled:
            return texts @ images.T
        products = torch.einsum("ntw,mpw->nmtp", texts, images).amax(-1)  # (n, m, t)
        return products.sum(-1) / mask.sum(1)[:, None]


def fitted(
    heads: Heads,
    train: Features,
    made: Sequence[Scene],
    options: argparse.Namespace,
    seed: int,
) -> float:
    """Train, unless that was done before; how many seconds of a processor it took."""
    steps = options.steps
    form = f"{'one' if heads.pooled else 'many'}-{HIDDEN}-{WIDTH}-{BATCH}"
    name = f"{seed}-{form}-{digest(made)}-{steps}.pt"
    stored = options.work / name
    if stored.is_file():
        weights, cost = torch.load(stored, weights_only=True)
        heads.load_state_dict(weights)
        return float(cost)
    begun = time.process_time()
    true = [frozenset(scene.true) for scene in made]
    optimizer = torch.optim.AdamW(heads.parameters(), lr=2e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    for _, places in zip(range(steps), batches(swapped_together(made), seed), strict=False):
        (texts, words), (images, seen) = ((each[places] for each in train[side]) for side in SIDES)
        scores = heads.scores(heads("text", texts, words), heads("image", images, seen), words)
        also = torch.tensor([[bool(true[a] & true[b]) for b in places] for a in places])
        also.fill_diagonal_(False)  # a caption that is true of another picture, too
        logits = (scores * heads.scale.exp()).masked_fill(also, -torch.inf)
        wanted = torch.arange(len(places))
        loss = functional.cross_entropy(logits, wanted) + functional.cross_entropy(logits.T, wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    cost = time.process_time() - begun
    torch.save((heads.state_dict(), cost), stored)
    return cost


def batches(groups: Sequence[int], seed: int) -> Iterator[list[int]]:
    """Places of scenes without end, each beside its swaps; about `BATCH` at once."""
    numbers, starts, sizes = np.unique(groups, return_index=True, return_counts=True)
    rng = np.random.default_rng(seed)
    batch: list[int] = []
    while True:
        for group in rng.permutation(len(numbers)).tolist():
            if len(batch) + sizes[group] > BATCH:
                yield batch
                batch = []
            batch += range(starts[group], starts[group] + sizes[group])


def swapped_together(made: Iterable[Scene]) -> list[int]:
    """Of each scene a number that it shares with its swaps, which come after it."""
    return [number for number, group in enumerate(together(made)) for _ in group]


def together(made: Iterable[Scene]) -> Iterator[list[Scene]]:
    """Each scene with its swaps, which come after it."""
    group: list[Scene] = []
    for scene in made:
        if group and frozenset(group[0].wrong).isdisjoint(scene.true):
            yield group
            group = []
        group.append(scene)
    if group:
        yield group


def apart(made: Iterable[Scene], most: int, seen: set[str]) -> tuple[Scene, ...]:
    """At most so many scenes, each with its swaps, of which no true caption was seen.

    Args:
        made: Scenes without end, each before its swaps.
        most: How many scenes; what is left out counts not.
        seen: True captions of other parts; those of this part are added when it is drawn.

    Raises:
        ValueError: Among 100 times as many scenes there are not enough.
    """
    found: list[Scene] = []
    for group in together(islice(made, 100 * most)):
        if seen.isdisjoint(caption for scene in group for caption in scene.true):
            if len(found) + len(group) > most:
                seen.update(caption for scene in found for caption in scene.true)
                return tuple(found)
            found += group
    raise ValueError(f"there are not {most} scenes whose captions stand in no other part; ask less")


def digest(made: Sequence[Scene]) -> str:
    """Tells scenes from others, by what is drawn and what is true of it."""
    told = json.dumps([(scene.true, scene.drawn) for scene in made])
    return hashlib.sha256(told.encode()).hexdigest()[:12]
