"""Options that several commands have, and what they mean in each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Space = Annotated[Path, typer.Argument(help="The space.")]
Into = Annotated[
    Path, typer.Option("--into", metavar="SPACE", help="The space; created if absent.")
]
NewEncoder = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="mini, a directory or a hub id, for a new space."),
]

Data = Annotated[
    Path,
    typer.Option(
        help="A folder of pictures or tar shards; .jsonl, .csv, .tsv, .parquet; COCO .json."
    ),
]
Images = Annotated[
    Path | None, typer.Option(metavar="DIR", help="What a file's picture paths start from.")
]
ImageColumn = Annotated[str, typer.Option(help="A table's column of paths.")]
CaptionColumn = Annotated[str, typer.Option(help="A table's column of captions.")]
Clean = Annotated[
    bool, typer.Option("--clean", help="Take HTML, URLs and file names out of captions.")
]
