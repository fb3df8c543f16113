"""The pairs that ``unisem train`` and ``unisem evaluate`` are given."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from unisem.pairs import PairDataset


def read_pairs(
    data: Path,
    *,
    images: Path | None,
    image_column: str,
    caption_column: str,
    clean: bool,
    unpack_to: Path | None,
) -> PairDataset:
    """Read pairs as a command's options say; see `unisem.cli.options`.

    Args:
        data: A folder or file, as for `PairDataset.read`.
        images: What a file's picture paths start from.
        image_column: A table's column of paths.
        caption_column: A table's column of captions.
        clean: Take HTML, URLs and file names out of captions.
        unpack_to: Where the pictures of shards are unpacked.

    Raises:
        TrainingError: Nothing there, or a kind that is not known.
    """
    from unisem.pairs import CaptionCleaning, PairDataset
    from unisem.pairs.sources.tables import Columns

    pairs = PairDataset.read(
        data,
        columns=Columns(image_column, caption_column),
        image_root=images,
        unpack_to=unpack_to,
    )
    return CaptionCleaning().apply(pairs) if clean else pairs


def share_or_number(held_out: float) -> float | int:
    """What ``--held-out`` means: below 1 a share of the pairs, from 1 on their number.

    Raises:
        typer.BadParameter: It is neither.
    """
    from unisem.pairs.splits import share_or_number as meant

    try:
        return meant(held_out)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--held-out") from None
