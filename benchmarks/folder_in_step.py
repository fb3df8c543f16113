"""Folders that are indexed, and indexed again unchanged, by this checkout beside others.

    python -m benchmarks.folder_in_step [--large 2000] [--small 10000] [--beside CHECKOUT …]

Pictures are made: ``--large`` JPEGs of twelve megapixels, ``--small`` ones of 160 x 120, each file
another one. Each is a picture of the gallery, scaled, which a comment in the file tells apart, so
that making them costs little and decoding them what it costs. Runs of the checkouts take turns,
each in a process of its own; figures are processor seconds, which a busy machine changes least,
and seconds by the clock.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from PIL import Image
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[1]
_GALLERY = ROOT / "examples" / "gallery" / "images"
_LARGE, _SMALL = (4000, 3000), (160, 120)
_BASES = 24  # pictures that are scaled and encoded
_CHILD = """
import json, resource, sys, time
from unisem import SemanticSpace
from unisem.stores.faiss import FaissStore
add, first = FaissStore.add, []
def committed(self, items):
    add(self, items)
    if items and not first:
        first.append(time.perf_counter() - began)
FaissStore.add = committed
with SemanticSpace.open(sys.argv[2]) as space:
    space.encoder.encode_texts(["warm"])
    before, began = time.process_time(), time.perf_counter()
    report = space.add_folder(sys.argv[1])
    seconds, used = time.perf_counter() - began, time.process_time() - before
print(json.dumps({
    "added": report.added, "unchanged": report.unchanged, "seconds": seconds, "processor": used,
    "first": first[0] if first else None,
    "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000,
}))
"""


def made(folder: Path, size: tuple[int, int], count: int) -> None:
    """Fill a folder, if it is not there, with so many JPEGs of a size."""
    if folder.exists():
        return
    bases = list(_bases(size))
    for number in range(count):
        inside = folder / f"{number % 20:02}"
        inside.mkdir(parents=True, exist_ok=True)
        data, said = bases[number % len(bases)], f"number {number:06}".encode()
        comment = b"\xff\xfe" + (len(said) + 2).to_bytes(2, "big") + said
        (inside / f"{number:06}.jpg").write_bytes(data[:2] + comment + data[2:])


def _bases(size: tuple[int, int]) -> Iterator[bytes]:
    for path in sorted(_GALLERY.glob("*.png"))[:: max(1, 400 // _BASES)][:_BASES]:
        picture = Image.open(path).convert("RGBA")
        ground = Image.new("RGB", picture.size, "white")
        ground.paste(picture, mask=picture)
        noise = Image.effect_noise(size, 20).convert("RGB")
        buffer = BytesIO()
        blended = Image.blend(ground.resize(size, Image.Resampling.BICUBIC), noise, 0.15)
        blended.save(buffer, "JPEG", quality=88)
        yield buffer.getvalue()


def run(checkout: Path, folder: Path, space: Path) -> dict[str, float]:
    """Index a folder by a checkout, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, str(folder), str(space)],
        env={**os.environ, "PYTHONPATH": str(checkout)},
        cwd=space.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Make the folders, let the checkouts take turns, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--large", type=int, default=2000)
    parser.add_argument("--small", type=int, default=10_000)
    parser.add_argument("--beside", type=Path, nargs="*", default=[])
    parser.add_argument("--work", type=Path, default=Path("folder-in-step"))
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    table = Table(
        "folder", "checkout", "run", "added", "unchanged", "processor ms a picture",
        "processor, s", "clock, s", "first commit, s", "memory, MB",
    )  # fmt: skip
    checkouts = [ROOT, *(it.resolve() for it in options.beside)]
    console = Console(width=150)
    for name, size, count in (("small", _SMALL, options.small), ("large", _LARGE, options.large)):
        if not count:
            continue
        folder = (options.work / f"{name}-{count}").resolve()
        made(folder, size, count)
        for checkout in checkouts:
            shutil.rmtree(_space(options.work, name, checkout), ignore_errors=True)
        for turn in ("first", "again", "once more"):
            for checkout in checkouts:
                found = run(checkout, folder, _space(options.work, name, checkout))
                first = "–" if found["first"] is None else f"{found['first']:.2f}"
                row = [
                    f"{count:,} {name}", checkout.name, turn, f"{found['added']:,}",
                    f"{found['unchanged']:,}", f"{1000 * found['processor'] / count:.2f}",
                    f"{found['processor']:.1f}", f"{found['seconds']:.1f}", first,
                    f"{found['memory']:.0f}",
                ]  # fmt: skip
                table.add_row(*row)
                console.print("  ".join(row), highlight=False)
    console.print(table)


def _space(work: Path, name: str, checkout: Path) -> Path:
    return (work / f"{name}-{checkout.name}.unisem").resolve()


if __name__ == "__main__":
    main()
