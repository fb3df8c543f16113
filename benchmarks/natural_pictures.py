"""Retrieval figures of an encoder on photographs, and on drawings of another hand.

    python -m benchmarks.natural_pictures [--encoder mini] [--packages DIR]

A proxy for photographs, from packages: no set of photographs with captions is in a package
registry under a free licence that lets one train on it. Debian's `tuxpaint-stamps-default` has
cut-out photographs with captions (`benchmarks.tux_paint`), shown once on white and once on
photographs of landscapes from `lomiri-wallpapers-16.04`; `gcompris-qt-data` has whole photographs,
and drawings, with names (`benchmarks.gcompris`). All are ranked by their pixels alone. `mini` is
not trained on these packages: they are under the GPL and share-alike licences, and here they only
measure.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

from benchmarks.captioned import CaptionedPictures
from benchmarks.gcompris import GAMES, read_drawings, read_photographs
from benchmarks.retrieval import add_row, scores
from benchmarks.tux_paint import GROUNDS, SIDE, STAMPS, cut, placed, read_grounds, read_stamps
from unisem import Encoder, load_encoder
from unisem.evaluation import Ranking

PACKAGES = {  # name=version: sha256 of the .deb
    "tuxpaint-stamps-default=2022.06.04-1": (
        "6db6c1bfc870a47f1499d6203b083522eacb57c5f9c87d468f2e92eb6d9d5f34"
    ),
    "lomiri-wallpapers-16.04=20.04.0-2": (
        "a99ff6a3bfe451e4cc0682ecb3cc82e71740626d59e4845ae34a0a0e45421eab"
    ),
    "gcompris-qt-data=3.1-2": "e9cf06ab2105529068df73085784e835d2ff03f870d2a8091f09125d40abac9f",
}


def main() -> None:
    """Fetch, encode, rank, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--encoder", default="mini")
    parser.add_argument("--packages", type=Path, help="a folder with the .deb files in it")
    options = parser.parse_args()
    encoder = load_encoder(options.encoder)
    table = Table("pictures", "queries", "candidates", "hit@1", "hit@5", "hit@10", "MRR")
    with unpacked(options.packages) as folder:
        for name, shown in sets(folder):
            ranking = ranked(encoder, shown)
            add_row(table, name, ranking, len(shown.pictures))
    console = Console()
    console.print(f"encoder {options.encoder} ({encoder.fingerprint[:12]}), 95 % intervals")
    console.print(table)


def sets(folder: Path) -> Iterator[tuple[str, CaptionedPictures]]:
    """What is measured, by name."""
    stamps = read_stamps(folder / STAMPS)
    grounds, random = read_grounds(folder / GROUNDS), np.random.default_rng(1)
    white = Image.new("RGB", (SIDE, SIDE), "white")
    on_white = [placed(picture, white) for picture in stamps.pictures]
    yield "cut-out photographs on white", replace(stamps, pictures=on_white)
    on_photographs = [placed(picture, cut(grounds, random)) for picture in stamps.pictures]
    yield "the same on other photographs", replace(stamps, pictures=on_photographs)
    yield "whole photographs", read_photographs(folder / GAMES)
    yield "drawings", read_drawings(folder / GAMES)


def ranked(encoder: Encoder, shown: CaptionedPictures) -> Ranking:
    """The pictures' order for each caption."""
    texts = encoder.encode_texts(shown.captions, role="query").astype(np.float64)
    images = encoder.encode_images(shown.pictures).astype(np.float64)
    return Ranking.of(scores(texts, images), shown.relevant)


@contextmanager
def unpacked(packages: Path | None) -> Iterator[Path]:
    """A temporary folder with the packages unpacked; fetched with apt-get if not given."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if packages is None:
            packages = folder
            command = ["apt-get", "download", "-o", "APT::Sandbox::User=root", *PACKAGES]
            subprocess.run(command, cwd=folder, check=True)
        for package, expected in PACKAGES.items():
            (deb,) = packages.glob(f"{package.partition('=')[0]}_*.deb")
            actual = hashlib.sha256(deb.read_bytes()).hexdigest()
            if actual != expected:
                raise SystemExit(f"{deb.name} has sha256 {actual}, expected {expected}")
            subprocess.run(["dpkg-deb", "-x", deb, folder / "unpacked"], check=True)
        yield folder / "unpacked"


if __name__ == "__main__":
    main()
