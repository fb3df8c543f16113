"""``unisem feedback``: which hits were right, to learn from; off unless somebody turns it on."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from unisem.cli.options import AsJson, Space
from unisem.cli.terminal import print_json, results
from unisem.common.printable import plain
from unisem.errors import LabelError

if TYPE_CHECKING:
    from unisem.pairs.labelling.feedback import Feedback

Number = Annotated[
    int | None, typer.Option("--search", metavar="N", help="Which search; the last one if absent.")
]

feedback = typer.Typer(
    no_args_is_help=True,
    help="Keep searches of a space and say which hits were right, to learn from it.",
)


@feedback.command()
def on(space: Space) -> None:
    """Keep what is searched with unisem search, in the space's directory only."""
    found = _of(space)
    found.begin()
    results().print(
        plain(f"searches are kept in {found.path}; unisem feedback erase deletes them"),
        soft_wrap=True,
    )


@feedback.command()
def good(
    space: Space,
    ranks: Annotated[list[int], typer.Argument(metavar="RANK…", help="Hits, from 1.")],
    search: Number = None,
) -> None:
    """Say which hits of a search were right."""
    found = _of(space)
    judged = found.judge(ranks, search)
    results().print(plain(f"{judged.query}: {', '.join(judged.chosen or ())}"), soft_wrap=True)


@feedback.command()
def none(space: Space, search: Number = None) -> None:
    """Say that no hit of a search was right."""
    found = _of(space)
    results().print(plain(f"{found.judge([], search).query}: nothing was right"))


@feedback.command("list")
def list_(space: Space, as_json: AsJson = False) -> None:
    """Print the searches that are kept, and what was right."""
    found = _of(space)
    if as_json:
        print_json([asdict(it) for it in found.searches()])
        return
    table = Table("search", "query", "hits", "right")
    for it in found.searches():
        right = "" if it.chosen is None else ", ".join(it.chosen) or "none"
        table.add_row(str(it.number), plain(it.query), str(len(it.shown)), plain(right))
    results().print(table)


@feedback.command()
def erase(space: Space) -> None:
    """Delete all searches that were kept, and keep no more."""
    found = _of(space)
    found.erase()
    results().print(plain(f"{found.path} is deleted; searches are not kept"), soft_wrap=True)


def _of(space: object) -> Feedback:
    """The searches of a space that is there, which need not be opened.

    Raises:
        LabelError: It is in no directory.
        UniSemError: There is no space.
    """
    from unisem.manifest import Manifest
    from unisem.pairs.labelling.feedback import Feedback

    if not isinstance(space, Path):
        raise LabelError(f"{space} has no directory in which searches could be kept")
    Manifest.existing(space)
    return Feedback(space)
