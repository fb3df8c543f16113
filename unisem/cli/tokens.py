"""``unisem tokens``: what a reranker needs of a space's records, kept in the space."""

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

_SHOWN = 10  # skipped things that are listed unasked


def tokens(
    space: Space,
    reranker: Annotated[
        str,
        typer.Option(
            metavar="DIR", help="What `unisem train-reranker` wrote, or a late-interaction model."
        ),
    ],
    pool_factor: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=1000,
            metavar="N",
            help="Of late interaction: make one token vector of about N.",
        ),
    ] = None,
    show_skipped: Annotated[
        bool, typer.Option("--show-skipped", help="List everything that was skipped.")
    ] = False,
    image_roots: ImageRoots = None,
    as_json: AsJson = False,
) -> None:
    """Make a reranker's tokens of a space's records, so that it need not look at them again."""
    with open_existing(space) as opened:
        for root in image_roots or ():
            opened.image_library.allow(root)
        report = make_tokens(opened, reranker, pool_factor)
    if as_json:
        print_json(asdict(report))
        return
    had = report.present + report.texts_present
    made = f"made tokens of {_things(report.made, report.texts_made)}; {had:,} had theirs"
    print_tokens(made, report, show_skipped=show_skipped)


def make_tokens(space: SemanticSpace, reranker: str, pool_factor: int | None = None) -> TokenReport:
    """Make a reranker's tokens under a progress bar.

    Raises:
        RerankerError: There is no such model, or it keeps no tokens.
        typer.BadParameter: It pools nothing.
        typer.Exit: Ctrl-C; the person has been told what is kept.
    """
    from unisem.rerank import load_reranker

    try:
        loaded = load_reranker(reranker, encoder=space.encoder, pool_factor=pool_factor)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--pool-factor") from None
    try:
        with progress_bar("making tokens") as advance:
            return space.make_tokens(loaded, progress=advance)
    except KeyboardInterrupt:
        notices().print(
            "Interrupted. The tokens that are made are kept.\nRun the same command again to go on.",
            soft_wrap=True,
        )
        raise typer.Exit(130) from None


def kept_tokens(report: TokenReport) -> str:
    """Of how many pictures and texts a space keeps tokens."""
    return _things(report.made + report.present, report.texts_made + report.texts_present)


def _things(pictures: int, texts: int) -> str:
    of_pictures = amount(pictures, "picture")
    return f"{of_pictures} and {amount(texts, 'text')}" if texts else of_pictures


def print_tokens(made: str, report: TokenReport, *, show_skipped: bool) -> None:
    """Say what became of the records; `made` says of which tokens are there."""
    out = results()
    dropped, skipped = report.dropped, report.skipped
    out.print(f"{made}, {dropped:,} dropped, {len(skipped):,} skipped", soft_wrap=True)
    most = len(skipped) if show_skipped else _SHOWN
    for line in skipped_lines(skipped, most=most, remedy="; --show-skipped lists all"):
        out.print(line, soft_wrap=True)
