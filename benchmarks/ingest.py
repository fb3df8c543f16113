"""How fast pictures get into a space by each entrance, over the same pictures with one encoder.

    python -m benchmarks.ingest [--encoder mini] [--pictures 1000] [--rounds 3] [--only NAME …]

Every entrance fills a new space with seeded 640 x 480 JPEGs and their captions; each round measures
every entrance once, in turn. What is timed is from the call until all is committed. Processor time
says more than the clock on a machine that others use; both are given as medians.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from llama_index.core.schema import BaseNode
from PIL import Image
from rich.console import Console
from rich.table import Table

from benchmarks.encode import captions
from langchain_unisem import ImageFolderLoader
from langchain_unisem import UniSemVectorStore as LangChainStore
from llama_index_unisem import UniSemEmbedding, UniSemImageReader
from llama_index_unisem import UniSemVectorStore as LlamaIndexStore
from unisem import Encoder, Record, SemanticSpace, load_encoder
from unisem.exchange import export_space, import_space

Run = Callable[[], object]


class Entrances:
    """What is taken in, and the ways; a way is prepared with a new space, then run."""

    def __init__(self, home: Path, encoder: Encoder, count: int) -> None:
        self.home = home
        self.encoder = encoder
        self.folder = write_pictures(home / "photos", count)
        self.paths = sorted(self.folder.glob("*.jpg"))
        self.texts = captions(count)
        with SemanticSpace.open(home / "full.unisem", encoder=encoder) as full:
            full.add_folder(self.folder)
            self.embedded = list(full.store.embedded())
            export_space(full, home / "out")
        self.nodes: list[BaseNode] = list(UniSemImageReader(str(self.folder)).load_data())
        rows = {item.record.id: item.vectors["image"].tolist() for item in self.embedded}
        for node in self.nodes:
            node.embedding = rows[node.node_id]

    def ways(self) -> dict[str, Callable[[SemanticSpace], Run]]:
        """By name; the first ones embed."""
        return {
            "add": lambda space: lambda: space.add(self.records()),
            "add_folder": lambda space: lambda: space.add_folder(self.folder),
            "LangChain store": lambda space: (
                lambda: LangChainStore(space=space).add_images(self.paths, captions=self.texts)
            ),
            "LlamaIndex pipeline": lambda space: lambda: self.llama_index(space),
            "import, embedded anew": lambda space: lambda: self.imported(space, "renew"),
            "add_embedded": lambda space: lambda: space.add_embedded(self.embedded),
            "LlamaIndex store": lambda space: lambda: LlamaIndexStore(space=space).add(self.nodes),
            "import with vectors": lambda space: lambda: self.imported(space, "keep"),
            "LangChain loader": lambda space: ImageFolderLoader(self.folder).load,
            "LlamaIndex reader": lambda space: UniSemImageReader(str(self.folder)).load_data,
        }

    def records(self) -> list[Record]:
        """New ones for each run."""
        return [
            Record(id=path.name, image=path, text=text)
            for path, text in zip(self.paths, self.texts, strict=True)
        ]

    def llama_index(self, space: SemanticSpace) -> None:
        """Read, embed and store, as an ingestion pipeline does."""
        documents = UniSemImageReader(str(self.folder)).load_data()
        LlamaIndexStore(space=space).add(list(UniSemEmbedding(encoder=self.encoder)(documents)))

    def imported(self, space: SemanticSpace, vectors: Any) -> None:
        """The export, which refers to the pictures where they are."""
        import_space(self.home / "out", space, vectors=vectors)


def write_pictures(folder: Path, count: int) -> Path:
    """Write seeded JPEGs with detail at several scales, and their captions."""
    folder.mkdir()
    for number in range(count):
        rng = np.random.default_rng(number)
        picture = Image.new("RGB", (640, 480))
        for side in (4, 32, 256):
            pixels = rng.integers(0, 256, (side * 3 // 4, side, 3), np.uint8)
            layer = Image.fromarray(pixels).resize(picture.size, Image.Resampling.BILINEAR)
            picture = layer if side == 4 else Image.blend(picture, layer, 0.3)
        picture.save(folder / f"{number:05}.jpg", quality=90)
    lines = (
        json.dumps({"file_name": f"{number:05}.jpg", "text": text})
        for number, text in enumerate(captions(count))
    )
    (folder / "metadata.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def main() -> None:
    """Run the measurements and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--encoder", default="mini")
    parser.add_argument("--pictures", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*", help="entrances, by name")
    options = parser.parse_args()
    encoder = load_encoder(options.encoder)
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        entrances = Entrances(home, encoder, options.pictures)
        ways = entrances.ways()
        chosen = {way: ways[way] for way in options.only or ways}
        times: dict[str, list[tuple[float, float]]] = {way: [] for way in chosen}
        for turn in range(options.rounds):
            for number, (way, prepare) in enumerate(chosen.items()):
                path = home / f"{turn}-{number}.unisem"
                with SemanticSpace.open(path, encoder=encoder, image_roots=[home]) as space:
                    run = prepare(space)
                    start, work = time.perf_counter(), time.process_time()
                    run()
                    times[way].append((time.perf_counter() - start, time.process_time() - work))
    table = Table("entrance", "pictures/s", "ms of processor a picture")
    for way, measured in times.items():
        seconds, work = (statistics.median(part) for part in zip(*measured, strict=True))
        count = options.pictures
        table.add_row(way, f"{count / seconds:,.0f}", f"{1000 * work / count:,.1f}")
    Console().print(f"encoder {options.encoder}, {options.pictures} pictures", table)


if __name__ == "__main__":
    main()
