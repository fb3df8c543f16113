"""``unisem tokens``: what a reranker needs of a space's pictures, kept in the space."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from unisem.cli.options import AsJson, ImageRoots, Space
from unisem.cli.progress import progress_bar
from unisem.cli.search import open_existing
from unisem.cli.terminal import amount, notices, print_json, results, skipped_lines

if TYPE_CHECKING:
    from unisem.ingest.token_making import TokenReport
    from unisem.space import SemanticSpace

_SHOWN = 10  # skipped pictures that are listed unasked


def tokens(
    space: Space,
    reranker: Annotated[
        str, typer.Option(metavar="DIR", help="What `unisem train-reranker` wrote.")
    ],
    show_skipped: Annotated[
        bool, typer.Option("--show-skipped", help="List every picture that was skipped.")
    ] = False,
    image_roots: ImageRoots = None,
    as_json: AsJson = False,
) -> None:
    """Make a reranker's tokens of a space's pictures, so that it need not look at them again."""
    with open_existing(space) as opened:
        for root in image_roots or ():
            opened.image_library.allow(root)
        report = make_tokens(opened, reranker)
    if as_json:
        print_json(asdict(report))
        return
    made = f"made tokens of {amount(report.made, 'picture')}; {report.present:,} had theirs"
    print_tokens(made, report, show_skipped=show_skipped)


def make_tokens(space: SemanticSpace, reranker: str) -> TokenReport:
    """Make a reranker's tokens under a progress bar.

    Raises:
        RerankerError: There is no such model, or it keeps no tokens.
        typer.Exit: Ctrl-C; the person has been told what is kept.
    """
    from unisem.rerank import load_reranker

    loaded = load_reranker(reranker, encoder=space.encoder)
    try:
        with progress_bar("making tokens") as advance:
            return space.make_tokens(loaded, progress=advance)
    except KeyboardInterrupt:
        notices().print(
            "Interrupted. The tokens that are made are kept.\nRun the same command again to go on.",
            soft_wrap=True,
        )
        raise typer.Exit(130) from None


def print_tokens(made: str, report: TokenReport, *, show_skipped: bool) -> None:
    """Say what became of the pictures; `made` says of which tokens are there."""
    out = results()
    dropped, skipped = report.dropped, report.skipped
    out.print(f"{made}, {dropped:,} dropped, {len(skipped):,} skipped", soft_wrap=True)
    most = len(skipped) if show_skipped else _SHOWN
    for line in skipped_lines(skipped, most=most, remedy="; --show-skipped lists all"):
        out.print(line, soft_wrap=True)
