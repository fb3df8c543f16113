"""Train `mini`'s image head, and write the encoder that ships inside UniSem.

    python -m tools.train_mini [--library DIR] [--packages DIR] [--sources DIR] [--work DIR]

The start model is what `tools/build_mini.py` builds. Its text tower and its image tower stay as
they are, to the byte; the two layers between picture features and text space are replaced by
trained ones of the same kind (`tools.mini_training.head`). They learn from the training part of
Open Clip Art, from emoji, icons and flags, and from natural-looking features that the frozen
ImageNet classifier and WordNet give (`tools.mini_training.classes`). What repeats a picture that
`mini` is measured or shown on is left out (`tools.mini_training.published`).
`docs/concepts/mini.md` has data, licences, figures and what did not help.

Three heads are trained with three seeds from one start and their weights averaged; ImageNet's
classes are then moved a good half of the way back, and all logits are softened. Everything is
deterministic on one machine with one thread; another processor rounds differently. Features of
pictures are computed once and kept in --work. Archives absent from --sources are fetched and
refused unless their sha256 is the one of `tools/train_mini.lock.json`. Needs
`pip install resvg-py`, which draws the icons.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch

from benchmarks.natural_pictures import unpacked
from benchmarks.near_duplicates import Looks
from tools.build_mini import class_names
from tools.mini_training import classes, pictures
from tools.mini_training.features import Tower, embed, extract
from tools.mini_training.flags import flags
from tools.mini_training.head import BeliefHead, average, extended, softened, towards_start
from tools.mini_training.learning import Pictures, Recipe, train
from tools.mini_training.package import write
from tools.mini_training.published import GALLERY, HELD_OUT, new_to, pin, published
from tools.mini_training.sources import REPOSITORY, Sources
from tools.open_clip_art import fetched_library
from unisem.encoders.mini import MODEL_DIRECTORY
from unisem.encoders.sentence_transformer import SentenceTransformerEncoder

SEEDS = (0, 1, 2)


def main() -> None:
    """Fetch, compute features, train, average, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--library", type=Path, help="unpacked clip art: a folder with png and svg")
    parser.add_argument("--packages", type=Path, help="of the pictures that only measure, as .deb")
    parser.add_argument("--sources", type=Path, default=REPOSITORY / "build" / "mini-sources")
    parser.add_argument("--inputs", type=Path, default=REPOSITORY / "build" / "mini")
    parser.add_argument("--base", type=Path, default=REPOSITORY / "build" / "mini-base")
    parser.add_argument("--work", type=Path, default=REPOSITORY / "build" / "mini-training")
    parser.add_argument("--output", type=Path, default=MODEL_DIRECTORY)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if not options.base.exists():
        build = [sys.executable, REPOSITORY / "tools" / "build_mini.py"]
        wanted = ["--inputs", options.inputs, "--output", options.base]
        subprocess.run([*build, *wanted], check=True)
    sources = Sources(options.sources)
    encoder = SentenceTransformerEncoder("mini-base", options.base, device="cpu")
    with (
        nullcontext(options.library) if options.library else fetched_library() as library,
        unpacked(options.packages) as packages,
    ):
        known = published(library, packages)
        tower = Tower(encoder)
        drawings = {
            "clip_art": pictures.clip_art(library, encoder),
            "emoji": pictures.emoji(sources),
            "icons": pictures.icons(sources),
            "flags": flags(sources),
        }
        parts = [
            extract(tower, encoder, drawn, options.work / f"{name}.npz")
            for name, drawn in drawings.items()
        ]
    seen, looks = joined(parts)
    new = new_to(known, looks)
    seen, looks = seen[new], looks[new]
    drawn = looks[seen.kinds == pictures.KINDS.index("clip art")]
    pin(drawn, {name: known[name] for name in (GALLERY, HELD_OUT)})
    start = start_head(encoder)
    natural = natural_features(encoder, start, seen, class_entries(sources, options.inputs))
    places = unit(natural.texts.numpy().mean(1))
    heads = []
    for seed in SEEDS:
        head = extended(
            start, places, seen.features, seen.texts[:, 0], extra=Recipe().extra, seed=0
        )
        heads.append(train(head, seen, natural, Recipe(), seed=seed, progress=print_progress))
        torch.save(heads[-1].state_dict(), options.work / f"head{seed}.pt")
    recipe = Recipe()
    head = towards_start(average(heads), start, places, recipe.back)
    head = softened(head, recipe.temperature)
    write(head, options.base, options.output, sources)
    print(f"{options.output} written; python -m benchmarks.retrieval measures it")


def print_progress(step: int, loss: float) -> None:
    """A line every hundred steps."""
    if step % 100 == 0:
        print(f"step {step}, loss {loss:.3f}", flush=True)


def start_head(encoder: SentenceTransformerEncoder) -> BeliefHead:
    """The two layers of the start model."""
    _, believe, place = encoder.model[0].sub_modules["image"]
    return BeliefHead(
        believe.linear.weight.detach().numpy(),
        believe.linear.bias.detach().numpy(),
        place.linear.weight.detach().numpy().T,
    )


def class_entries(sources: Sources, inputs: Path) -> list[classes.ClassEntry]:
    """ImageNet's classes with what WordNet says of them."""
    with zipfile.ZipFile(sources.path("timm")) as wheel:
        synsets = wheel.read("timm/data/_info/imagenet_synsets.txt").decode().split()
    wordnet = sources.debian_file("wordnet-base", "usr/share/wordnet/data.noun").decode()
    return classes.read_classes(class_names(inputs), synsets, wordnet)


def natural_features(
    encoder: SentenceTransformerEncoder,
    start: BeliefHead,
    seen: Pictures,
    entries: list[classes.ClassEntry],
) -> classes.NaturalFeatures:
    """Natural-looking features from the tower's own statistics, with WordNet's texts."""
    random = np.random.default_rng(0)
    texts = [text for entry in entries for text in classes.class_texts(entry, random)]
    vectors = embed(encoder, texts)
    drawings = seen.features[seen.kinds == pictures.KINDS.index("clip art")]
    flat = drawings.reshape(-1, drawings.shape[-1])
    top = encoder.model[0].sub_modules["image"][0].model.encoder.top_bn
    mean = classes.natural_mean(top.bias.detach().numpy(), top.weight.detach().numpy())
    directions = start.whole("weight").detach().numpy() @ np.cov(flat.T)
    deviations = drawings[:, 0] - drawings[:, 0].mean(0)
    return classes.NaturalFeatures(
        mean=torch.tensor(mean, dtype=torch.float32),
        directions=torch.tensor(directions, dtype=torch.float32),
        deviations=torch.tensor(deviations, dtype=torch.float32),
        texts=torch.tensor(vectors.reshape(classes.CLASSES, -1, vectors.shape[1])),
    )


def joined(parts: Sequence[tuple[Pictures, Looks]]) -> tuple[Pictures, Looks]:
    """All sets as one, their groups apart."""
    sets, looks = zip(*parts, strict=True)
    after = np.cumsum([0, *(part.groups.max() + 1 for part in sets)])
    seen = Pictures(
        np.concatenate([part.features for part in sets]),
        np.concatenate([part.texts for part in sets]),
        np.concatenate([part.groups + first for part, first in zip(sets, after, strict=False)]),
        np.concatenate([part.kinds for part in sets]),
    )
    return seen, Looks(
        np.concatenate([each.digests for each in looks]),
        np.concatenate([each.thumbnails for each in looks]),
    )


def unit(vectors: np.ndarray) -> np.ndarray:
    """Rows of length one."""
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True))


if __name__ == "__main__":
    main()
