"""What the commands that train say about their pairs, and about the trained encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from unisem.cli.options import share_or_number
from unisem.cli.progress import progress_bars
from unisem.cli.terminal import amount, skipped_lines
from unisem.common.printable import plain
from unisem.errors import TrainingError
from unisem.models.finding import ADAPTER

if TYPE_CHECKING:
    from pathlib import Path

    from unisem.pairs import PairDataset
    from unisem.pairs.checking import PairReport
    from unisem.training.model.scale import Scale
    from unisem.training.report import Change, TrainingReport


def checked_parts(
    out: Console, data: Path, pairs: PairDataset, held_out: float, seed: int
) -> tuple[PairDataset, PairDataset | None]:
    """Check pairs, say what is usable, and hold a part of them out.

    Args:
        out: Where to say it.
        data: Where they come from.
        pairs: The pairs.
        held_out: Share or number of them that is kept for the comparison; 0 for none.
        seed: Decides which.

    Raises:
        TrainingError: Too few are usable.
    """
    from unisem.pairs import check_pairs, split_pairs

    with progress_bars(quiet=out.quiet) as show:
        checked = check_pairs(pairs, progress=lambda done, n: show("checking pictures", done, n))
    print_pairs(out, checked.report)
    if len(checked.dataset) < 2:
        raise TrainingError(
            f"{data} has {amount(len(checked.dataset), 'usable pair')}; training needs at least two"
        )
    if not held_out:
        return checked.dataset, None
    split = split_pairs(checked.dataset, held_out=share_or_number(held_out), seed=seed)
    if len(set(split.train.document_ids.tolist())) < 2:
        raise TrainingError(
            f"--held-out {held_out:g} leaves {amount(len(split.train), 'pair')} with one document "
            "to train on; hold out fewer"
        )
    out.print(
        f"{len(split.train):,} pairs to train on, {len(split.held_out):,} held out, nothing in "
        "common"
    )
    return split.train, split.held_out


def print_pairs(out: Console, report: PairReport) -> None:
    """Print how many pairs are usable, and the first of what is not."""
    table = Table.grid(padding=(0, 1))
    table.add_column()
    table.add_column(justify="right")
    rows = [
        ("pairs", report.pairs),
        ("usable", report.usable),
        ("distinct pictures", report.images),
        ("distinct captions", report.captions),
        ("not read", len(report.unread)),
        ("missing pictures", len(report.missing)),
        ("broken pictures", len(report.broken)),
        ("empty captions", report.empty_captions),
        ("repeated pairs", report.repeated),
        ("captions of several pictures", report.shared_captions),
        ("copies of pictures", report.copies),
    ]
    from unisem.pairs.pair import CAPTIONED

    if set(report.kinds) - {CAPTIONED}:
        texts = {"distinct captions": "distinct texts", "empty captions": "empty texts"}
        texts |= {"captions of several pictures": "queries with several documents"}
        rows = [(texts.get(name, name), count) for name, count in rows]
        rows[2:2] = [(f"  {kind}", count) for kind, count in report.kinds.items()]
    if report.negatives or report.refuted:
        rows += [("given negatives", report.negatives)]
        rows += [("negatives that are right, or repeated", report.refuted)]
    for name, count in rows:
        table.add_row(name, f"{count:,}")
    out.print(table)
    for line in skipped_lines([*report.unread, *report.missing, *report.broken]):
        out.print(line, soft_wrap=True)


def print_training(
    out: Console, report: TrainingReport, *, k: int, held_out: int, use: str = "encoder"
) -> None:
    """Print what training cost and gained.

    Args:
        out: Where to.
        report: The run's.
        k: Of hit@k, which is given beside hit@1.
        held_out: How many pairs the encoders were compared on.
        use: What the trained model is: an encoder, or a reranker.
    """
    out.print(
        f"trained {report.trained:,} numbers in {amount(report.steps, 'step')}, "
        f"{report.seconds:.0f} s; loss {report.losses[0]:.3f} to {report.losses[-1]:.3f}"
        if report.losses
        else f"trained {report.trained:,} numbers: nothing was left to do",
        soft_wrap=True,
    )
    if report.scale is not None:
        out.print(_scale_in_words(report), soft_wrap=True)
    if report.share != 1:
        out.print(f"kept {report.share:.0%} of the way from the start model's weights")
    if report.dropped_trials:
        splits = report.trials + report.dropped_trials
        out.print(
            f"how far to go was tried on {report.trials} of {amount(splits, 'split')}; the others "
            "would have left a kind of pairs with nothing to tell apart",
            soft_wrap=True,
        )
    table = Table("held-out pairs", "measure", "before", "after", "change (95 % interval)")
    kinds = list(report.before or ())
    for kind in [*kinds, *([None] if len(kinds) > 1 else [])]:
        for at in dict.fromkeys((1, k)):
            changes = report.change(at, kind)
            assert changes is not None
            for direction, change in zip(_directions(kind, kinds), changes, strict=True):
                table.add_row(direction, f"hit@{at}", *change_cells(change))
    if table.row_count:
        out.print(f"{held_out:,} held-out pairs:")
        out.print(table)
    place, size = plain(str(report.output)), f"{report.size / 1e6:,.1f} MB"
    if (report.output / ADAPTER).is_file():
        out.print(f"{place} is ready ({size}): unisem merge-adapter makes an encoder of it")
    else:
        out.print(f"{place} is ready ({size}): pass it as the {use}", soft_wrap=True)


def _directions(kind: str | None, kinds: list[str]) -> tuple[str, str, str]:
    """What the directions of a kind of pairs are called, of all of them with ``None``."""
    from unisem.training.report import backwards

    if kind is None:
        return "all, query to document", "all, document to query", "all, both directions"
    from unisem.pairs.pair import CAPTIONED

    if kinds == [CAPTIONED]:
        return "caption to picture", "picture to caption", "both directions"
    return kind, backwards(kind, kinds), f"{kind}, both directions"


def _scale_in_words(report: TrainingReport) -> str:
    """With which temperature, and bias, the loss began and ended."""

    def told(scale: Scale) -> str:
        bias = "" if scale.bias is None else f", bias {scale.bias:.4g}"
        return f"{1 / scale.factor:.4g}{bias}"

    assert report.scale is not None
    whose = ", the start model's own" if report.own_scale else ""
    learned = "" if report.learned_scale is None else f"; learned: {told(report.learned_scale)}"
    return f"temperature {told(report.scale)}{whose}{learned}"


def change_cells(change: Change) -> tuple[str, str, str]:
    """A measure before and after, and the change with its interval."""
    difference = change.after - change.before
    return (
        f"{change.before:.3f}",
        f"{change.after:.3f}",
        f"{difference:+.3f} ({change.low:+.3f} to {change.high:+.3f})",
    )
