"""Options that several commands have, and what they mean in each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from unisem.pairs import PairDataset
    from unisem.stores.kind import Place

_PAIRS = "Reading pairs"


def _place(text: str) -> Place:
    """What a person names as a space: a directory, or a URI."""
    from unisem.stores.registry import place_of

    return place_of(text)


if TYPE_CHECKING:
    Space = Place
    Into = Place
else:  # typer takes no unions
    Space = Annotated[
        Any, typer.Argument(metavar="SPACE", parser=_place, help="The space, or its URI.")
    ]
    Into = Annotated[
        Any,
        typer.Option(
            "--into", metavar="SPACE", parser=_place, help="The space; created if absent."
        ),
    ]
NewEncoder = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="mini, mini-multilingual, a directory or a hub id, for a new space."
    ),
]
NewStore = Annotated[
    str | None,
    typer.Option("--store", metavar="KIND", help="faiss, or another kind, for a new space."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Prune = Annotated[
    bool | None,
    typer.Option(
        "--prune/--no-prune",
        help="Remove records whose files have gone, now and in later runs; or no more.",
    ),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option(
        "--exclude",
        metavar="PATTERN",
        help="Leave out files and folders of this name (drafts, '*.tmp') or path (2023/drafts); "
        "may be repeated.",
    ),
]
Include = Annotated[
    list[str] | None,
    typer.Option(
        "--include",
        metavar="PATTERN",
        help="Take in what is usually left out (node_modules, '.*'); may be repeated.",
    ),
]
ImageRoots = Annotated[
    list[Path] | None,
    typer.Option(
        "--image-root",
        metavar="FOLDER",
        exists=True,
        file_okay=False,
        help="A folder that pictures may lie in, besides the usual ones; may be repeated.",
    ),
]

Data = Annotated[
    Path,
    typer.Option(
        help="A space, a folder of pictures or tar shards, .jsonl, .csv, .tsv, .parquet, "
        "COCO .json."
    ),
]
Images = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", help="What a file's picture paths start from.", rich_help_panel=_PAIRS
    ),
]
ImageColumn = Annotated[
    str, typer.Option(metavar="NAME", help="A table's column of paths.", rich_help_panel=_PAIRS)
]
CaptionColumn = Annotated[
    str, typer.Option(metavar="NAME", help="A table's column of captions.", rich_help_panel=_PAIRS)
]
Clean = Annotated[
    bool,
    typer.Option(
        "--clean",
        help="Take HTML, URLs and file names out of captions.",
        rich_help_panel=_PAIRS,
    ),
]


def read_pairs(
    data: Path,
    *,
    images: Path | None,
    image_column: str,
    caption_column: str,
    clean: bool,
    unpack_to: Path | None,
) -> PairDataset:
    """Read pairs as a command's options say.

    Args:
        data: A space, or a folder or file as for `PairDataset.read`.
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
    from unisem.readers.walking import is_space

    if data.is_dir() and is_space(data):
        from unisem.pairs.labelling import pairs_of_space
        from unisem.space import SemanticSpace

        with SemanticSpace.open(data) as space:
            pairs = pairs_of_space(space)
    else:
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


def check_patterns(exclude: Sequence[str] | None, include: Sequence[str] | None) -> None:
    """Look at patterns before anything is opened.

    Raises:
        typer.BadParameter: One is none.
    """
    from unisem.readers.walking import FileChoice

    try:
        FileChoice(exclude or (), include or ())
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--exclude, --include") from None
