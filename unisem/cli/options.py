"""Options that several commands have, and what they mean in each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_PAIRS = "Reading pairs"

Space = Annotated[Path, typer.Argument(help="The space.")]
Into = Annotated[
    Path, typer.Option("--into", metavar="SPACE", help="The space; created if absent.")
]
NewEncoder = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="mini, a directory or a hub id, for a new space."),
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
        help="A folder of pictures or tar shards; .jsonl, .csv, .tsv, .parquet; COCO .json."
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
