"""What onnxruntime saves: a cold search, pictures and texts, beside torch, with the same weights.

    OMP_NUM_THREADS=1 python -m benchmarks.runtimes [--int8 DIR] [--images 200] [--rounds 5]

A cold search is a process of its own (``unisem search`` on a space of the gallery, by `mini`, by
`mini` in torch, and by mini-multilingual in English and in Chinese): its seconds of processor are
the least and the median of all rounds, its memory the most. Modules are compiled before, as pip
does. Speeds are measured in turns; a ratio is the median over rounds. ``--int8`` names what
``unisem export-onnx --int8`` wrote, and ``--cold`` measures nothing but cold searches.
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
_UNUSUAL = ("PYTHONDONTWRITEBYTECODE",)
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
    parser.add_argument("--cold", action="store_true")
    options = parser.parse_args()
    console = Console()
    with tempfile.TemporaryDirectory() as folder:  # first: a child's peak begins with its parent's
        console.print(cold_searches(Path(folder), options.rounds))
    if options.cold:
        return
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


def cold_searches(folder: Path, rounds: int) -> Table:
    """A search in a process of its own, each kind in turn."""
    spaces = {}
    for encoder in ("mini", "mini-multilingual"):
        spaces[encoder] = str(folder / f"{encoder}.unisem")
        command = [sys.executable, "-m", "unisem", "index", str(GALLERY), "--into", spaces[encoder]]
        subprocess.run([*command, "--encoder", encoder], check=True, stdout=subprocess.DEVNULL)
    asked = {
        "mini, torch": ("torch", "mini", "a tiger"),
        "mini": ("onnx", "mini", "a tiger"),
        "mini-multilingual, English": (None, "mini-multilingual", "a tiger"),
        "mini-multilingual, Chinese": (None, "mini-multilingual", "一只老虎"),
    }
    table = Table("cold `unisem search`", "least CPU s", "median CPU s", "MiB at most")
    costs: dict[str, list[tuple[float, float]]] = {name: [] for name in asked}
    for _ in range(rounds + 1):
        for name, (runtime, encoder, words) in asked.items():
            program = COLD.format(runtime=runtime)
            costs[name].append(cost_of(program, "search", spaces[encoder], words))
    for name, found in costs.items():
        seconds, peaks = zip(*found[1:], strict=True)  # the first compiles modules
        least, median = min(seconds), statistics.median(seconds)
        table.add_row(name, f"{least:.2f}", f"{median:.2f}", f"{max(peaks):.0f}")
    return table


def cost_of(program: str, *arguments: str) -> tuple[float, float]:
    """Seconds of processor and MiB of a program in a process of its own."""
    given = {name: value for name, value in os.environ.items() if name not in _UNUSUAL}
    with subprocess.Popen(
        [sys.executable, "-c", program, *arguments], stdout=subprocess.DEVNULL, env=given
    ) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"the search failed ({process.returncode})")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


if __name__ == "__main__":
    main()
