"""How many pictures a second fine-tuning CLIP ViT-B/32 gets through, and what the device could do.

    python -m benchmarks.training_throughput [--device cuda] [--batch 256] [--precision bfloat16]

The checkpoint has CLIP ViT-B/32's sizes and random weights, the pictures are generated 640 x 480
JPEGs, and the captions are random letters, all of one length: nothing is fetched, and speed does
not depend on what weights, pixels and letters are. Three things are timed, step by step:

- input alone: reading, decoding and preprocessing a batch's pictures, tokenizing its captions;
- compute alone: one batch, ready on the device, through model, InfoNCE, backward pass, clipping and
  AdamW, over and over;
- whole pipeline: `unisem.training.train_encoder` as users call it, every step with its input. The
  run is broken off after the last timed step.

A CUDA step's time is that between two events of the stream, so that timing does not stop the
processor from decoding ahead. The device's rate is that of a large square matrix product, timed on
the same device in the same precision before and after. The share of the peak is FLOPs / seconds /
that rate, medians throughout, where FLOPs are those of one step's forward and backward pass as
``torch.utils.flop_counter`` counts them: matrix products, convolutions, and attention as plain
products, so that nothing computed twice to save memory counts. Everything is trained, nothing is
checkpointed or cached.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import os
import resource
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from transformers import CLIPConfig
from transformers.utils.logging import disable_progress_bar

from benchmarks.generated_clip import save_clip, write_pairs
from benchmarks.stopwatch import Stopwatch, time_steps
from unisem.encoders.sentence_transformer import SentenceTransformerEncoder
from unisem.pairs import PairDataset
from unisem.training import Recipe, train_encoder
from unisem.training.inputs.collator import PairCollator
from unisem.training.inputs.preparing import prepare_pairs
from unisem.training.losses import EmbeddingLoss
from unisem.training.recipe import Precision

_PRODUCTS = 20  # matrix products timed before training, and again after


@dataclass(frozen=True, slots=True)
class Settings:
    """What is measured.

    Attributes:
        device: A torch device.
        batch: Pairs a step.
        precision: What the model computes in; weights are float32.
        steps: Steps that are timed.
        warm_up: Steps before them that are not.
        tokens: Of every caption, begin and end included.
    """

    device: str = "cpu"
    batch: int = 16
    precision: Precision = "float32"
    steps: int = 10
    warm_up: int = 2
    tokens: int = 77

    def __post_init__(self) -> None:
        if self.batch < 2:
            raise ValueError(f"a batch has at least 2 pairs, not {self.batch}")
        if min(self.steps, self.warm_up) < 1:
            raise ValueError("at least one step must be timed, and one come before it")
        if not 6 <= self.tokens <= 77:
            raise ValueError(f"captions have 6 to 77 tokens, not {self.tokens}")


@dataclass(frozen=True, slots=True)
class Throughput:
    """What was measured.

    Attributes:
        settings: How.
        flops: Of one step, forward and backward.
        rate: Of matrix products, in FLOPs a second.
        inputs: Seconds of each batch, input alone.
        compute: Seconds of each step, compute alone.
        pipeline: Seconds of each step, whole pipeline.
        memory: Peak bytes: on a CUDA device those of tensors while the pipeline runs, else those
            resident in the process's life.
    """

    settings: Settings
    flops: int
    rate: float
    inputs: tuple[float, ...]
    compute: tuple[float, ...]
    pipeline: tuple[float, ...]
    memory: int

    def pictures(self, seconds: Sequence[float]) -> tuple[float, float, float]:
        """Pictures a second: median, least, most."""
        batch = self.settings.batch
        return batch / statistics.median(seconds), batch / max(seconds), batch / min(seconds)

    def share(self, seconds: Sequence[float]) -> float:
        """Share of the rate of matrix products."""
        return self.flops / statistics.median(seconds) / self.rate

    def table(self) -> Table:
        """The figures to print."""
        table = Table("", "pictures/s, median (min to max)", "share of peak")
        for name, seconds in (
            ("input alone", self.inputs),
            ("compute alone", self.compute),
            ("whole pipeline", self.pipeline),
        ):
            middle, least, most = self.pictures(seconds)
            share = "" if seconds is self.inputs else f"{self.share(seconds):.0%}"
            table.add_row(name, f"{middle:,.1f} ({least:,.1f} to {most:,.1f})", share)
        return table


class _EnoughError(Exception):
    """Ends a run whose steps have been timed, before it saves anything."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    best = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--device", default=best, help="cpu, cuda …; the best one present")
    parser.add_argument("--batch", type=int, help="pairs a step; 256, on a CPU 16")
    parser.add_argument(
        "--precision", choices=("float32", "bfloat16", "float16"), default="float32"
    )
    parser.add_argument("--steps", type=int, default=20, help="steps that are timed")
    parser.add_argument("--warm-up", type=int, default=5, help="steps before them")
    parser.add_argument("--tokens", type=int, default=77, help="of every caption")
    options = parser.parse_args()
    try:
        kind = torch.device(options.device).type
    except RuntimeError:
        parser.error(f"{options.device!r} is no device of torch; try cpu or cuda")
    if kind == "cuda" and not torch.cuda.is_available():
        parser.error("no CUDA device is present; use --device cpu")
    if kind == "cpu" and options.precision == "float16":
        parser.error("float16 needs a GPU; use bfloat16 or float32")
    batch = options.batch
    if batch is None:
        batch = 16 if kind == "cpu" else 256
    try:
        settings = Settings(
            options.device,
            batch,
            options.precision,
            options.steps,
            options.warm_up,
            options.tokens,
        )
    except ValueError as error:
        parser.error(str(error))
    disable_progress_bar()
    try:
        found = measure(CLIPConfig(), settings)
    except torch.OutOfMemoryError:
        raise SystemExit(f"a batch of {batch} does not fit; use a smaller --batch") from None
    console = Console()
    name = torch.cuda.get_device_name() if kind == "cuda" else options.device
    console.print(
        f"CLIP ViT-B/32 on {name}, {torch.get_num_threads()} CPU threads, torch "
        f"{torch.__version__}, {settings.precision}, batches of {batch}, {settings.tokens} tokens, "
        f"{settings.steps} steps"
    )
    console.print(found.table())
    console.print(
        f"{found.flops / batch / 1e9:.1f} GFLOPs a pair, matrix products "
        f"{found.rate / 1e12:.3f} TFLOPs/s, peak memory {found.memory / 2**30:.1f} GiB"
    )


def measure(config: CLIPConfig, settings: Settings) -> Throughput:
    """Measure one setting.

    Args:
        config: The sizes of the CLIP that is trained.
        settings: The setting.
    """
    device = torch.device(settings.device)
    with tempfile.TemporaryDirectory() as name:
        start = save_clip(Path(name) / "start", config)
        # The run is broken off before its last batch: it would be saved after it.
        count = settings.batch * (settings.warm_up + settings.steps + 1)
        dataset = write_pairs(Path(name) / "pictures", count, tokens=settings.tokens)
        products = time_products(device, settings.precision)
        encoder = SentenceTransformerEncoder("start", start, device=settings.device)
        collator = make_collator(encoder, dataset)
        inputs = time_input(collator, settings)
        flops, compute = time_compute(encoder, collator, settings)
        del encoder, collator  # what is trained next starts from the files, with memory of its own
        gc.collect()
        if device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(device)
        encoder = SentenceTransformerEncoder("start", start, device=settings.device)
        pipeline = time_pipeline(encoder, dataset, Path(name) / "out", settings)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        if device.type == "cuda":
            memory = torch.cuda.max_memory_allocated(device)
        products += time_products(device, settings.precision)
    rate = 2 * _rows(device) ** 3 / statistics.median(products)
    return Throughput(settings, flops, rate, inputs, compute, pipeline, memory)


def make_collator(encoder: SentenceTransformerEncoder, dataset: PairDataset) -> PairCollator:
    """What makes batches in `train_encoder`, when nothing is frozen."""
    return PairCollator(prepare_pairs(encoder, dataset, {}, encoder.directory))


def time_products(device: torch.device, precision: Precision) -> tuple[float, ...]:
    """Seconds of each of some large matrix products."""
    dtype, rows = getattr(torch, precision), _rows(device)
    one, other = (torch.randn(rows, rows, device=device, dtype=dtype) for _ in range(2))
    product = torch.empty_like(one)
    return time_steps(lambda: torch.mm(one, other, out=product), device, _PRODUCTS, _PRODUCTS // 2)


def time_input(collator: PairCollator, settings: Settings) -> tuple[float, ...]:
    """Seconds of making batches, one after the other."""
    batches = itertools.count()

    def step() -> None:
        first = next(batches) * settings.batch
        collator([{"pair": first + number} for number in range(settings.batch)])

    return time_steps(step, torch.device("cpu"), settings.steps, settings.warm_up)


def time_compute(
    encoder: SentenceTransformerEncoder, collator: PairCollator, settings: Settings
) -> tuple[int, tuple[float, ...]]:
    """One step's FLOPs, and the seconds of steps on a batch that is ready on the device."""
    device = torch.device(settings.device)
    batch = collator([{"pair": number} for number in range(settings.batch)])
    from sentence_transformers.util import batch_to_device

    columns = [batch_to_device(features, device) for features in collator.columns(batch)]
    labels = batch["label"].to(device)
    module = EmbeddingLoss(encoder.model, Recipe().make_loss(encoder.dimension)).train()
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-5, fused=True)
    scaler = torch.amp.GradScaler(device.type, enabled=settings.precision == "float16")

    def passes() -> None:
        with torch.autocast(
            device.type,
            getattr(torch, settings.precision),
            enabled=settings.precision != "float32",
        ):
            loss = module(columns, labels)
        scaler.scale(loss).backward()

    def step() -> None:
        passes()
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(trained, 1.0)  # as the trainer does
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()

    # Fused attention is not counted on every device, and its backward pass computes things twice.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        passes()
    optimizer.zero_grad()
    seconds = time_steps(step, device, settings.steps, settings.warm_up)
    return counter.get_total_flops(), seconds


def time_pipeline(
    encoder: SentenceTransformerEncoder, dataset: PairDataset, output: Path, settings: Settings
) -> tuple[float, ...]:
    """Seconds of steps of `train_encoder`."""
    watch = Stopwatch(torch.device(settings.device))

    def advance(what: str, done: int, total: int) -> None:
        if what == "training":
            watch.mark()
            if done == settings.warm_up + settings.steps:
                raise _EnoughError

    recipe = Recipe(epochs=1, batch_size=settings.batch, precision=settings.precision)
    try:
        train_encoder(encoder, dataset, output, recipe=recipe, progress=advance)
    except _EnoughError:
        return watch.seconds(settings.steps)
    raise AssertionError("the run ended before its steps were timed")


def _rows(device: torch.device) -> int:
    """Of the square matrices: enough to keep the device busy."""
    return 1024 if device.type == "cpu" else 8192


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    main()
