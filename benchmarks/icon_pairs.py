"""Emoji, icons and flags as pairs to learn from, beside Open Clip Art.

They are those that `mini` learned from (`tools.mini_training.pictures`); none of them measures.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

from PIL import Image

from benchmarks.near_duplicates import Looks
from tools.mini_training.captions import of_clip_art
from tools.mini_training.flags import flags
from tools.mini_training.pictures import Drawing, emoji, icons
from tools.mini_training.sources import Sources
from tools.mini_training.views import SIDE
from unisem.images.reference import ImageRef
from unisem.pairs import Pair, PairDataset, check_pairs


def icon_pairs(sources: Sources, folder: Path, barred: Looks) -> PairDataset:
    """Pairs of pictures that are drawn into a folder: an icon has one text, a flag several.

    So there are about as many icons as texts of clip art, and half as many texts of flags, which is
    what batches of `mini` had.

    Args:
        sources: The pinned packages.
        folder: For the pictures, 224 pixels wide; those that are there are not drawn again.
        barred: Pictures that are measured by; whatever repeats one of them is left out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    drawings = chain(emoji(sources), icons(sources), flags(sources))
    pairs = check_pairs(PairDataset(tuple(_pairs(drawings, folder)))).dataset
    paths = sorted({pair.image.path for pair in pairs if pair.image.path is not None})
    repeats = Looks.of_files(paths).repeat(barred)
    kept = {path for path, is_repeat in zip(paths, repeats, strict=True) if not is_repeat}
    return pairs.select([p for p, pair in enumerate(pairs) if pair.image.path in kept])


def in_other_words(known: PairDataset) -> PairDataset:
    """Pairs of clip art with every way to put each caption; see `of_clip_art`."""
    return PairDataset(
        tuple(
            Pair.of(pair.image, text, pair.image_id)
            for pair in known
            for text in dict.fromkeys(of_clip_art(pair.caption))
        )
    )


def joined(parts: Iterable[PairDataset]) -> PairDataset:
    """All pairs in one."""
    return PairDataset(tuple(chain.from_iterable(parts)))


def _pairs(drawings: Iterable[Drawing], folder: Path) -> Iterator[Pair]:
    for drawing in drawings:
        path = folder / f"{drawing.digest[:32]}.png"
        if not path.exists():
            drawing.image.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(path)
        image = ImageRef(path=path, root=folder)
        texts = dict.fromkeys(drawing.texts if drawing.kind == "flag" else drawing.texts[:1])
        for text in texts:
            yield Pair.of(image, text, path.name)
