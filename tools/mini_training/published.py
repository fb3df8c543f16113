"""`published`: the pictures that `mini` is shown on or measured on and must not be trained on.

Training leaves out what repeats one of them, to the byte or nearly (`benchmarks.near_duplicates`).
What it kept of Open Clip Art, and what is published, are pinned by their sha256 in
`tools/train_mini_pictures.lock.json`.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from benchmarks.natural_pictures import sets
from benchmarks.near_duplicates import Looks
from benchmarks.open_clip_art import load_split
from tools.build_gallery import read_selection
from tools.mini_training.sources import REPOSITORY
from unisem.images.reference import open_image

PICTURES = REPOSITORY / "tools" / "train_mini_pictures.lock.json"
GALLERY, HELD_OUT = "examples/gallery", "held-out clip art"


def published(library: Path, packages: Path) -> dict[str, Looks]:
    """The looks of every published set, by its name.

    Args:
        library: Unpacked clip art, of which the gallery's pictures are made: before they are
            shrunk, since bytes are compared too.
        packages: The unpacked packages of `benchmarks.natural_pictures`.
    """
    gallery = [library / "png" / choice.source for choice in read_selection()]
    _, held_out = load_split(library)
    found = {
        GALLERY: Looks.of_files(gallery),
        HELD_OUT: Looks.of_files(held_out.pictures),
    }
    for name, shown in sets(packages):
        found[name] = Looks.of_images([open_image(picture) for picture in shown.pictures])
    return found


def pin(trained: Looks, sets_of_files: dict[str, Looks]) -> None:
    """Write the digests of what was trained on and of what is published, where these are files."""
    content = {"trained": trained} | sets_of_files
    rows = {name: sorted(set(looks.digests.tolist())) for name, looks in content.items()}
    PICTURES.write_text(json.dumps({"format": 1, "sha256": rows}, indent=0) + "\n", "utf-8")


def pinned() -> dict[str, set[str]]:
    """The digests in the lock: of what was ``trained`` on, and of published sets by name."""
    rows = json.loads(PICTURES.read_text("utf-8"))["sha256"]
    return {name: set(digests) for name, digests in rows.items()}


def new_to(known: dict[str, Looks], looks: Looks) -> np.ndarray:
    """Which rows repeat no published picture, ``(n,)`` bool; says how many do of each set."""
    new = np.ones(len(looks.digests), bool)
    for name, others in known.items():
        repeats = looks.repeat(others)
        print(f"{repeats.sum()} training pictures repeat one of {name} and are left out")
        new &= ~repeats
    return new
