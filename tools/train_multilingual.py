"""Train the head of mini-multilingual, and write what UniSem ships of it.

    python -m tools.train_multilingual [--sources DIR] [--work DIR] [--output DIR]

Multilingual distillation (Reimers and Gurevych 2020, https://arxiv.org/abs/2004.09813): a text, and
its translations, are to be where `mini` puts the English. Multilingual-e5-small stays as it is; a
head of one hidden layer is trained on what its layers make of the texts of
`tools.multilingual.texts`. Besides the vector itself it learns to tell the English texts of a batch
apart, and to be as near to each of the 2,000 places that `mini`'s pictures are mixtures of. What is
measured (`benchmarks.languages`) is not among the texts. `docs/concepts/multilingual.md` has
sources and licences, `docs/measured/languages.md` figures and what did not help.

Deterministic on one machine with one thread. Needs ``pip install "unisem[multilingual,onnx]"``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import random
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from torch.nn import functional

from tools.mini_training.sources import REPOSITORY, Sources
from tools.multilingual.features import E5, PROMPT, stored
from tools.multilingual.head import FILE, Head, text_graph
from tools.multilingual.texts import MOST, Pair, all_pairs
from unisem import load_encoder
from unisem.encoders.mini import MODEL_DIRECTORY as MINI
from unisem.encoders.multilingual.package import (
    MODEL_DIRECTORY,
    TOKENIZER,
    WEIGHTS,
    package_content,
)
from unisem.encoders.multilingual.weights import Array, unpack
from unisem.encoders.onnx.description import Description, Words

LOCK = REPOSITORY / "tools" / "train_multilingual.lock.json"
SPECIAL = ("<mask>", "<unk>", "<pad>", "</s>", "<s>")


@dataclass(frozen=True, slots=True)
class Recipe:
    """Settings of the training.

    Attributes:
        steps: Batches.
        batch: Texts of a batch.
        rate: The highest learning rate; warmed up, then along a cosine to nothing.
        apart: What telling a batch's texts apart counts, by InfoNCE at ``temperature``.
        places: What being as near to the pictures' places counts.
        temperature: Of both.
        english: How often an English text is taken, against another.
        english_steps: Batches of 2,048 texts that teach it what English is, afterwards.
    """

    steps: int = 1600
    batch: int = 256
    rate: float = 2e-3
    apart: float = 0.2
    places: float = 1.0
    temperature: float = 0.05
    english: float = 0.6
    english_steps: int = 800
    seed: int = 0


def main() -> None:
    """Gather, compute features, train, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sources", type=Path, default=REPOSITORY / "build" / "mini-sources")
    parser.add_argument("--work", type=Path, default=REPOSITORY / "build" / "multilingual")
    parser.add_argument("--output", type=Path, default=MODEL_DIRECTORY)
    options = parser.parse_args()
    torch.set_num_threads(1)
    pairs = chosen(all_pairs(Sources(options.sources, LOCK)))
    unpacked = unpack(memoryview(package_content()))
    texts = sorted({pair.text for pair in pairs})
    pooled = stored(texts, options.work / "e5.npz", E5(unpacked))
    english = sorted({pair.english for pair in pairs})
    targets = load_encoder("mini", runtime="onnx").encode_texts(english, role="query")
    head = train(
        pairs, dict(zip(texts, pooled, strict=True)), dict(zip(english, targets, strict=True))
    )
    write(head, unpacked.tensors, options.output)
    print(f"{options.output} written; python -m benchmarks.languages measures it")


def chosen(pairs: list[Pair]) -> list[Pair]:
    """In another order, and of some sources no more than `MOST` says."""
    order = list(pairs)
    random.Random(0).shuffle(order)
    taken: dict[str, int] = defaultdict(int)
    kept = []
    for pair in order:
        taken[pair.source] += 1
        if taken[pair.source] <= MOST.get(pair.source, len(order)):
            kept.append(pair)
    return kept


def train(
    pairs: list[Pair],
    pooled: Mapping[str, Array],
    targets: Mapping[str, Array],
    recipe: Recipe = Recipe(),  # frozen
) -> Head:
    """The head that puts each text where its English is."""
    torch.manual_seed(recipe.seed)
    dice = torch.Generator().manual_seed(recipe.seed)
    given = torch.tensor(np.stack([pooled[pair.text] for pair in pairs]), dtype=torch.float32)
    wanted = torch.tensor(np.stack([targets[pair.english] for pair in pairs]))
    numbers = {text: number for number, text in enumerate(targets)}
    meaning = torch.tensor([numbers[pair.english] for pair in pairs])
    english = torch.tensor([float(pair.language == "en") for pair in pairs])
    places = picture_places()
    head = Head(given)
    optimizer = torch.optim.AdamW(head.parameters(), lr=recipe.rate, weight_decay=0.01)
    often = torch.where(english > 0, recipe.english, 1.0)
    for step in range(recipe.steps):
        for group in optimizer.param_groups:
            falling = 0.5 + 0.5 * math.cos(math.pi * step / recipe.steps)
            group["lr"] = recipe.rate * min(1, step / 100) * falling
        rows = torch.multinomial(often, recipe.batch, generator=dice)
        placed, _ = head(given[rows])
        target = wanted[rows]
        loss = (1 - (placed * target).sum(1)).mean()
        same = meaning[rows][:, None] == meaning[rows][None]
        same.fill_diagonal_(False)
        scores = (placed @ target.T / recipe.temperature).masked_fill(same, -torch.inf)
        loss += recipe.apart * functional.cross_entropy(scores, torch.arange(len(rows)))
        near = functional.log_softmax(placed @ places.T / recipe.temperature, 1)
        nearer = functional.softmax(target @ places.T / recipe.temperature, 1)
        loss += recipe.places * functional.kl_div(near, nearer, reduction="batchmean")
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 200 == 0:
            print(f"step {step}, loss {loss.item():.3f}", flush=True)
    return learn_english(head.eval(), given, english, recipe)


def learn_english(head: Head, given: torch.Tensor, english: torch.Tensor, recipe: Recipe) -> Head:
    """Teach a head to tell English, by what its hidden layer has; nothing else of it changes."""
    dice = torch.Generator().manual_seed(recipe.seed)
    optimizer = torch.optim.AdamW(head.english.parameters(), lr=0.01, weight_decay=0.01)
    with torch.no_grad():
        hidden = torch.cat(
            [
                functional.gelu(head.inner((part - head.mean) * head.scale))
                for part in given.split(4096)
            ]
        )
    for step in range(recipe.english_steps):
        for group in optimizer.param_groups:
            group["lr"] = 0.01 * (0.5 + 0.5 * math.cos(math.pi * step / recipe.english_steps))
        rows = torch.randint(len(hidden), (2048,), generator=dice)
        logits = head.english(hidden[rows])[:, 0]
        loss = functional.binary_cross_entropy_with_logits(logits, english[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"English: loss {loss.item():.3f}", flush=True)
    return head


def picture_places() -> torch.Tensor:
    """``(2000, 384)`` unit vectors that the vector of each of `mini`'s pictures is a mixture of."""
    (weight,) = load_file(MINI / "image_2_Dense" / "model.safetensors").values()
    return functional.normalize(torch.tensor(weight.T, dtype=torch.float32), dim=1)


def write(head: Head, e5: dict[str, Array], output: Path) -> None:
    """What UniSem ships: the head, the graph and its description; the lock gets their digests."""
    (output / "onnx").mkdir(parents=True, exist_ok=True)
    tensors = head.tensors()
    save_file(tensors, output / FILE)
    (output / "onnx" / "text.onnx").write_bytes(text_graph(e5, tensors, WEIGHTS))
    words = Words(
        tokenizer=TOKENIZER,
        length=512,
        fill=False,
        pad=1,
        special=SPECIAL,
        query=PROMPT,
        document=PROMPT,
    )
    Description(dimension=tensors["outer.w"].shape[1], words=words, pixels=None).write(output)
    lock = json.loads(LOCK.read_text("utf-8"))
    lock["files"] = {
        path.relative_to(output).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(output.rglob("*"))
        if path.is_file() and path.suffix != ".md"
    }
    LOCK.write_text(json.dumps(lock, indent=2, sort_keys=True) + "\n", "utf-8")


if __name__ == "__main__":
    main()
