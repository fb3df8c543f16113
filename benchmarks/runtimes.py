"""What onnxruntime saves: a cold search, pictures and texts, beside torch, with the same weights.

    OMP_NUM_THREADS=1 python -m benchmarks.runtimes [--int8 DIR] [--images 200] [--rounds 5]

A cold search is a process of its own (``unisem search`` on the demo's space): its seconds of
processor and its peak of memory are the least and the median of all rounds. Speeds are measured in
turns; a ratio is the median over rounds. ``--int8`` names what ``unisem export-onnx --int8`` wrote.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from unisem import Encoder, load_encoder

GALLERY = Path(__file__).parent.parent / "examples" / "gallery"
COLD = """
import sys
from unisem.encoders import loading
if {runtime!r}:
    loading._runtime = lambda *given: {runtime!r}
from unisem.cli import main
main()
"""


def main() -> None:
    """Run the measurements and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--int8", metavar="DIR")
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    console = Console()
    with tempfile.TemporaryDirectory() as folder:  # first: a child's peak begins with its parent's
        place = Path(folder) / "demo.unisem"
        subprocess.run(
            [sys.executable, "-m", "unisem", "index", str(GALLERY), "--into", str(place)],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        console.print(cold_searches(place, options.rounds))
    encoders: dict[str, Encoder] = {
        "torch": load_encoder("mini", device="cpu", runtime="torch"),
        "onnxruntime": load_encoder("mini", device="cpu", runtime="onnx"),
    }
    if options.int8:
        encoders["onnxruntime, int8"] = load_encoder(options.int8, device="cpu")
    pictures = sorted((GALLERY / "images").glob("*.png"))[: options.images]
    texts = [path.stem.replace("-", " ") for path in pictures]
    prepared = [encoders["torch"].prepare_image(path) for path in pictures]
    table = Table("input", "runtime", "per second of processor", "ratio to torch")
    tasks: dict[str, Callable[[Encoder], object]] = {
        "pictures, decoded": lambda encoder: encoder.encode_prepared(prepared),
        "pictures, from files": lambda encoder: encoder.encode_images(pictures),
        "texts, batches of 32": lambda encoder: encoder.encode_texts(texts),
        "texts, one at a time": lambda encoder: [encoder.encode_texts([text]) for text in texts],
    }
    for task, run in tasks.items():
        seconds: dict[str, list[float]] = {name: [] for name in encoders}
        for encoder in encoders.values():
            encoder.encode_prepared(prepared[:4])
            encoder.encode_texts(texts[:4])
        for _ in range(options.rounds):
            for name, encoder in encoders.items():
                start = time.process_time()
                run(encoder)
                seconds[name].append(time.process_time() - start)
        for name, times in seconds.items():
            ratio = statistics.median(a / b for a, b in zip(seconds["torch"], times, strict=True))
            speed = len(pictures) / statistics.median(times)
            table.add_row(task, name, f"{speed:,.0f}", f"{ratio:.2f} x")
        table.add_section()
    console.print(table)


def cold_searches(space: Path, rounds: int) -> Table:
    """A search in a process of its own, by each runtime in turn."""
    table = Table("cold `unisem search`", "least CPU s", "median CPU s", "MiB at most")
    costs: dict[str, list[tuple[float, float]]] = {"torch": [], "onnx": []}
    for _ in range(rounds):
        for runtime, found in costs.items():
            found.append(cost_of(COLD.format(runtime=runtime), "search", str(space), "a tiger"))
    for runtime, found in costs.items():
        seconds, peaks = zip(*found, strict=True)
        table.add_row(
            runtime,
            f"{min(seconds):.2f}",
            f"{statistics.median(seconds):.2f}",
            f"{max(peaks):.0f}",
        )
    return table


def cost_of(program: str, *arguments: str) -> tuple[float, float]:
    """Seconds of processor and MiB of a program in a process of its own."""
    with subprocess.Popen(
        [sys.executable, "-c", program, *arguments], stdout=subprocess.DEVNULL
    ) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"the search failed ({process.returncode})")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


if __name__ == "__main__":
    main()
