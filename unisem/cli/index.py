"""``unisem index``: a folder into a space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unisem.cli.caption import captioner_for, fill, print_report
from unisem.cli.encoder_options import PLAIN, encoder_for, encoder_options
from unisem.cli.folder_report import folder_report_as_json, print_folder_report
from unisem.cli.options import (
    AsJson,
    Exclude,
    Include,
    Into,
    NewEncoder,
    NewStore,
    Prune,
    check_patterns,
)
from unisem.cli.progress import progress_bar
from unisem.cli.terminal import amount, notices, print_json, results
from unisem.cli.tokens import kept_tokens, make_tokens, print_tokens
from unisem.common.lazy import require
from unisem.common.printable import plain
from unisem.encoders.options import EncoderOptions

if TYPE_CHECKING:
    from unisem.ingest.ingest_report import IngestReport
    from unisem.ingest.ray import RayIngestion
    from unisem.recognition import TextRecognizer
    from unisem.records import Record
    from unisem.space import SemanticSpace

_MACHINES = "Many machines"


@encoder_options()
def index(
    folder: Annotated[Path, typer.Argument(help="Pictures, captions and texts.")],
    into: Into,
    encoder: NewEncoder = None,
    asked: EncoderOptions = PLAIN,
    store: NewStore = None,
    show_skipped: Annotated[
        bool, typer.Option("--show-skipped", help="List every input that was skipped.")
    ] = False,
    prune: Prune = None,
    no_location: Annotated[
        bool, typer.Option("--no-location", help="Leave out where pictures were taken.")
    ] = False,
    read_all: Annotated[
        bool, typer.Option("--read-all", help="Read every file, also those that look unchanged.")
    ] = False,
    exclude: Exclude = None,
    include: Include = None,
    caption: Annotated[
        str | None,
        typer.Option(
            "--caption",
            metavar="NAME",
            help="Then write captions where there are none; NAME as of unisem caption --captioner.",
        ),
    ] = None,
    ocr: Annotated[
        str | None,
        typer.Option(
            "--ocr",
            metavar="NAME",
            help="Read the words in pictures and on scanned pages; NAME is ppocr-v5.",
        ),
    ] = None,
    tokens_for: Annotated[
        str | None,
        typer.Option(
            "--tokens-for",
            metavar="DIR",
            help="Make the tokens of this reranker of all records; see unisem tokens.",
        ),
    ] = None,
    as_json: AsJson = False,
    ray: Annotated[
        str | None,
        typer.Option(
            "--ray",
            metavar="ADDRESS",
            help="Embed on a Ray cluster: auto, HOST:PORT, or local for one on this machine.",
            rich_help_panel=_MACHINES,
        ),
    ] = None,
    ray_actors: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Processes with the encoder; as many as there is room for.",
            rich_help_panel=_MACHINES,
        ),
    ] = None,
    ray_gpus: Annotated[
        float,
        typer.Option(
            min=0,
            metavar="X",
            help="Graphics cards of each, or a share of one.",
            rich_help_panel=_MACHINES,
        ),
    ] = 0,
    ray_shared: Annotated[
        bool,
        typer.Option(
            "--ray-shared",
            help="The folder has the same path on all machines, which read it themselves.",
            rich_help_panel=_MACHINES,
        ),
    ] = False,
) -> None:
    """Add a folder's pictures, captions and texts to a space, or bring it up to date."""
    from unisem.recognition import load_recognizer
    from unisem.space import SemanticSpace

    cluster = _cluster(ray, ray_actors, ray_gpus, ray_shared)
    recognizer = None if ocr is None else load_recognizer(ocr)
    check_patterns(exclude, include)
    if not folder.is_dir():  # before a space is made for nothing
        raise NotADirectoryError(f"{folder} is not a folder")
    chosen = encoder_for(encoder, asked, into)
    with SemanticSpace.open(into, encoder=chosen, store=store, tokens_for=tokens_for) as space:
        captioner = None if caption is None else captioner_for(space, caption)
        report = add_folder(
            space,
            folder,
            prune=prune,
            location=not no_location,
            recognizer=recognizer,
            read_all=read_all,
            exclude=exclude,
            include=include,
            ray=cluster,
        )
        if not as_json:
            print_folder_report(report, folder, show_skipped=show_skipped)
        told = folder_report_as_json(report)
        if captioner is not None:
            captions = fill(space, captioner)
            told["captions"] = asdict(captions)
            if not as_json:
                print_report(captions, show_skipped=show_skipped)
        if tokens_for is not None:
            tokens = make_tokens(space, tokens_for)  # of what was in the space before, too
            told["tokens"] = asdict(tokens)
            if not as_json:
                kept = f"keeps tokens of {kept_tokens(tokens)}"
                print_tokens(kept, tokens, show_skipped=show_skipped)
        told |= {"space": str(into), "records": len(space), "encoder": space.encoder.name}
        if as_json:
            print_json(told)
            return
        results().print(
            f"{plain(str(into))} holds {amount(len(space), 'record')} "
            f"(encoder {plain(space.encoder.name)})",
            soft_wrap=True,
        )


def add_folder(
    space: SemanticSpace,
    folder: Path,
    *,
    prune: bool | None = None,
    location: bool = True,
    recognizer: TextRecognizer | None = None,
    read_all: bool = False,
    exclude: Sequence[str] | None = None,
    include: Sequence[str] | None = None,
    ray: RayIngestion | None = None,
    is_first: bool = True,
) -> IngestReport:
    """Add a folder to a space under a progress bar; see `SemanticSpace.add_folder`.

    Who asks to prune here asks for this very run, too. Pictures that were taken in before looks
    were kept are looked for only in the first of several runs: what changes later has its look.

    Raises:
        typer.Exit: Ctrl-C; the person has been told what is kept.
    """
    from unisem.ingest.pruning import Pruning

    try:
        with progress_bar("indexing") as advance:
            report = space.add_folder(
                folder,
                prune=Pruning.NOW if prune else prune,
                location=location,
                recognizer=recognizer,
                read_all=read_all,
                exclude=exclude or (),
                include=include or (),
                ray=ray,
                progress=advance,
            )
        if is_first:
            _remember_looks(space, folder, report)
        return report
    except KeyboardInterrupt:
        notices().print(
            f"Interrupted. What is done is kept: {amount(len(space), 'record')} in "
            f"{plain(str(space.place))}.\nRun the same command again to go on.",
            soft_wrap=True,
        )
        raise typer.Exit(130) from None


def _remember_looks(space: SemanticSpace, folder: Path, report: IngestReport) -> None:
    """Look at the folder's pictures that were taken in before looks were kept.

    Not at those that this very run could not read, or that are there no more.
    """
    from unisem.ingest.looking import remember_looks

    inside = f"{folder.resolve().name}/"
    unread = {*report.gone, *(it.name for it in report.skipped)}

    def is_to_be_read(record: Record) -> bool:
        image = record.image
        if image is None or not record.id.startswith(inside):
            return False
        return unread.isdisjoint((record.id, image.name))

    with progress_bar("looking") as advance:
        remember_looks(space.store, among=is_to_be_read, progress=advance)


def _cluster(
    address: str | None, actors: int | None, gpus: float, shared: bool
) -> RayIngestion | None:
    """The cluster that ``--ray`` names.

    Raises:
        typer.BadParameter: It is no address, or there is none for what else is said of it.
    """
    if address is None:
        if actors is not None or gpus or shared:
            raise typer.BadParameter("say which cluster: --ray auto", param_hint="--ray-…")
        return None
    from unisem.ingest.ray import RayIngestion

    try:
        cluster = RayIngestion(address=address, actors=actors, gpus=gpus, shared=shared)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--ray") from None
    require("unisem index --ray", "ray", "unisem[ray]")  # before a space is made for nothing
    return cluster
