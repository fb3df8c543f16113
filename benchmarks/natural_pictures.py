"""Retrieval figures of an encoder on cut-out photographs: the stamps of Tux Paint.

    python -m benchmarks.natural_pictures [--encoder mini] [--packages DIR]

A proxy for photographs, from packages: no set of photographs with captions is in a package
registry under a free licence, but Debian's `tuxpaint-stamps-default` has some 270 photographed
animals, plants, foods and things, cut out, each with an English caption ("A Sumatran tiger."). They
are ranked by their pixels alone, once on white and once on photographs of landscapes, from
`lomiri-wallpapers-16.04`, as background. `mini` is not trained on these packages: they are under
the GPL and share-alike licences, and here they only measure.

Photographs are told from drawings by their path and their colours: 250 or more distinct ones at
five bits a channel, 2,500 or more opaque pixels.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

from benchmarks.retrieval import add_row, scores
from unisem import load_encoder
from unisem.evaluation import Ranking

PACKAGES = {  # name=version: sha256 of the .deb
    "tuxpaint-stamps-default=2022.06.04-1": (
        "6db6c1bfc870a47f1499d6203b083522eacb57c5f9c87d468f2e92eb6d9d5f34"
    ),
    "lomiri-wallpapers-16.04=20.04.0-2": (
        "a99ff6a3bfe451e4cc0682ecb3cc82e71740626d59e4845ae34a0a0e45421eab"
    ),
}
STAMPS = "usr/share/tuxpaint/stamps"
GROUNDS = "usr/share/backgrounds"
SIDE = 224
_DRAWN = {"cartoon", "plastic", "symbols", "people", "military"}


@dataclass(frozen=True, slots=True)
class Stamps:
    """Photographs with captions.

    Attributes:
        captions: Distinct captions.
        pictures: Cut-outs with transparency.
        relevant: For each caption the positions of its pictures.
    """

    captions: list[str]
    pictures: list[Image.Image]
    relevant: list[list[int]]


def main() -> None:
    """Fetch, encode, rank, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--encoder", default="mini")
    parser.add_argument("--packages", type=Path, help="a folder with the two .deb files in it")
    options = parser.parse_args()
    encoder = load_encoder(options.encoder)
    with unpacked(options.packages) as folder:
        stamps = read_stamps(folder / STAMPS)
        grounds = read_grounds(folder / GROUNDS)
    texts = encoder.encode_texts(stamps.captions, role="query").astype(np.float64)
    table = Table("ground", "queries", "candidates", "hit@1", "hit@5", "hit@10", "MRR")
    random = np.random.default_rng(1)
    on_photographs = [placed(picture, cut(grounds, random)) for picture in stamps.pictures]
    white = Image.new("RGB", (SIDE, SIDE), "white")
    on_white = [placed(picture, white) for picture in stamps.pictures]
    for name, pictures in (("white", on_white), ("photographs", on_photographs)):
        images = encoder.encode_images(pictures).astype(np.float64)
        add_row(table, name, Ranking.of(scores(texts, images), stamps.relevant), len(images))
    console = Console()
    console.print(f"encoder {options.encoder} ({encoder.fingerprint[:12]}), 95 % intervals")
    console.print(table)


@contextmanager
def unpacked(packages: Path | None) -> Iterator[Path]:
    """A temporary folder with both packages unpacked; fetched with apt-get if not given."""
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


def read_stamps(folder: Path) -> Stamps:
    """The photographs among the stamps, with the first line of their captions."""
    by_caption: dict[str, list[Image.Image]] = {}
    for path in sorted(folder.rglob("*.png")):
        described = path.with_suffix(".txt")
        inside = path.relative_to(folder)
        if not described.exists() or any(d in part for part in inside.parts for d in _DRAWN):
            continue
        picture = Image.open(path).convert("RGBA")
        pixels = np.asarray(picture)
        opaque = pixels[pixels[..., 3] > 128][:, :3] // 8
        colours = len(np.unique(opaque.astype(np.int64) @ np.array([1024, 32, 1])))
        if max(picture.size) >= 64 and colours >= 250 and len(opaque) >= 2500:
            caption = described.read_text("utf-8", errors="replace").split("\n")[0].strip()
            by_caption.setdefault(caption, []).append(picture)
    captions = sorted(by_caption)
    pictures: list[Image.Image] = []
    relevant = []
    for caption in captions:
        relevant.append(list(range(len(pictures), len(pictures) + len(by_caption[caption]))))
        pictures += by_caption[caption]
    return Stamps(captions, pictures, relevant)


def read_grounds(folder: Path) -> list[Image.Image]:
    """Photographs to put the stamps on, at most 900 pixels wide or high."""
    grounds = []
    for path in sorted(folder.glob("*.jpg")):
        picture = Image.open(path).convert("RGB")
        picture.thumbnail((900, 900))
        grounds.append(picture)
    return grounds


def cut(grounds: list[Image.Image], random: np.random.Generator) -> Image.Image:
    """A random square of a random ground."""
    ground = grounds[random.integers(len(grounds))]
    side = int(min(ground.size) * random.uniform(0.5, 1))
    left = int(random.integers(0, ground.width - side + 1))
    top = int(random.integers(0, ground.height - side + 1))
    return ground.crop((left, top, left + side, top + side)).resize((SIDE, SIDE))


def placed(picture: Image.Image, ground: Image.Image) -> Image.Image:
    """A stamp in the middle of a ground, 190 of its 224 pixels wide or high."""
    scale = 190 / max(picture.size)
    size = (max(1, int(picture.width * scale)), max(1, int(picture.height * scale)))
    stamp = picture.resize(size, Image.Resampling.BICUBIC)
    whole = ground.copy()
    at = ((SIDE - stamp.width) // 2, (SIDE - stamp.height) // 2)
    whole.paste(stamp, at, mask=stamp.getchannel("A"))
    return whole


if __name__ == "__main__":
    main()
