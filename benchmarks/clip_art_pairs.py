"""Open Clip Art's parts as pairs to learn from, and back."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from benchmarks.open_clip_art import Pairs
from tools.mini_training.published import pinned
from unisem.images.reference import ImageRef
from unisem.pairs import Pair, PairDataset, check_pairs


def as_dataset(part: Pairs, library: Path, features: Path) -> PairDataset:
    """The pairs of one part that can be opened; which those are is found out once."""
    pairs = [
        Pair.of(ImageRef(path=part.pictures[picture], root=library), caption, str(picture))
        for caption, pictures in zip(part.captions, part.relevant, strict=True)
        for picture in pictures
    ]
    digests = features / f"digests-{len(pairs)}.json"
    if not digests.exists():
        checked = check_pairs(PairDataset(tuple(pairs))).dataset
        features.mkdir(parents=True, exist_ok=True)
        digests.write_text(json.dumps({p.image_id: p.image.sha256 for p in checked}))
    known = json.loads(digests.read_text(encoding="utf-8"))
    usable = [
        Pair.of(replace(pair.image, sha256=known[pair.image_id]), pair.caption, pair.image_id)
        for pair in pairs
        if pair.image_id in known
    ]
    return PairDataset(tuple(usable))


def allowed_pairs(part: Pairs, library: Path, features: Path) -> PairDataset:
    """The pairs of the training part that `mini` learned from: none repeats a published picture."""
    known, allowed = as_dataset(part, library, features), pinned()["trained"]
    return known.select([p for p, pair in enumerate(known) if pair.image.sha256 in allowed])


def as_pairs(dataset: PairDataset) -> Pairs:
    """The distinct captions and pictures of checked pairs."""
    captions, pictures = sorted(set(dataset.captions)), {}
    relevant: list[list[int]] = [[] for _ in captions]
    row = {caption: number for number, caption in enumerate(captions)}
    for pair in dataset:
        number = pictures.setdefault(pair.image.path, len(pictures))
        relevant[row[pair.caption]].append(number)
    return Pairs(captions, list(pictures), relevant)
