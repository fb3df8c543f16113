"""``unisem evaluate``: how well an encoder retrieves, and where it fails."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unisem.cli.encoder_options import PLAIN, encoder_options
from unisem.cli.evaluation_tables import print_report
from unisem.cli.options import (
    CaptionColumn,
    Clean,
    Data,
    ImageColumn,
    Images,
    read_pairs,
    share_or_number,
)
from unisem.cli.progress import progress_bars
from unisem.cli.terminal import amount, note
from unisem.common.printable import plain
from unisem.encoders.options import EncoderOptions

_BENCHMARKS = "Benchmarks"

if TYPE_CHECKING:
    from collections.abc import Sequence

    from unisem.evaluation.benchmarks import Benchmark
    from unisem.evaluation.diagnosis import Diagnosis
    from unisem.evaluation.report import Report
    from unisem.pairs import PairDataset


@encoder_options()
def evaluate(
    data: Data,
    encoder: Annotated[
        str, typer.Option(metavar="NAME", help="mini, a directory or a hub id.")
    ] = "mini",
    asked: EncoderOptions = PLAIN,
    against: Annotated[
        str | None, typer.Option(metavar="OTHER", help="An encoder to compare it with.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="PAGE", help="Write a page with figures and pictures.")
    ] = None,
    as_json: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write all figures as JSON.")
    ] = None,
    ks: Annotated[
        list[int] | None,
        typer.Option("-k", metavar="N", min=1, help="Of hit@k; may be repeated. [1, 5, 10]"),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(metavar="N", min=2, help="Draw about so many pairs.")
    ] = None,
    held_out: Annotated[
        float | None,
        typer.Option(metavar="SHARE", help="Only what `unisem train` with this share kept aside."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Decides every draw.")] = 0,
    splits: Annotated[
        int,
        typer.Option(metavar="N", min=0, help="Halvings to try a calibration on; 0 for none."),
    ] = 20,
    clean: Clean = False,
    cache: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep vectors there, and go on from them next time."),
    ] = None,
    images: Images = None,
    image_column: ImageColumn = "filepath",
    caption_column: CaptionColumn = "title",
    split: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Whose judgements. [test]", rich_help_panel=_BENCHMARKS),
    ] = None,
    subset: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Of a benchmark with several; may be repeated. [all]",
            rich_help_panel=_BENCHMARKS,
        ),
    ] = None,
    ignore_identical_ids: Annotated[
        bool,
        typer.Option(
            "--ignore-identical-ids",
            help="No query finds the document of its own id (ArguAna, Quora).",
            rich_help_panel=_BENCHMARKS,
        ),
    ] = False,
    mteb: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Write results there as MTEB's tools read them.",
            file_okay=False,
            rich_help_panel=_BENCHMARKS,
        ),
    ] = None,
    language: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CODE",
            help="What --mteb says of the data, eng-Latn; may be repeated.",
            rich_help_panel=_BENCHMARKS,
        ),
    ] = None,
    zero_shot: Annotated[
        Path | None,
        typer.Option(
            metavar="NAMES",
            help="Classes by their names, one a line; --data has folders of classes, or a table.",
            dir_okay=False,
            exists=True,
            rich_help_panel=_BENCHMARKS,
        ),
    ] = None,
    templates: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Sentences with {} for a name, one a line. [a photo of a {}.]",
            dir_okay=False,
            exists=True,
            rich_help_panel=_BENCHMARKS,
        ),
    ] = None,
) -> None:
    """Measure retrieval in both directions and in a mixed corpus, alone or against another."""
    part = None if held_out is None else share_or_number(held_out)
    from unisem.evaluation import benchmark_folders

    folders = benchmark_folders(data) if zero_shot is None else []
    if (folders or zero_shot is not None) and (clean or limit is not None or part is not None):
        raise typer.BadParameter(
            "a benchmark is measured whole; leave out --clean, --limit and --held-out",
            param_hint="--data",
        )
    if zero_shot is None and templates is not None:
        raise typer.BadParameter("is of --zero-shot", param_hint="--templates")
    ours = split is not None or subset is not None or ignore_identical_ids
    if not folders and (ours or (mteb is not None and zero_shot is None)):
        raise typer.BadParameter(
            f"{data} holds no benchmark (queries, corpus and qrels, as JSON Lines or Parquet); "
            "leave out --split, --subset, --ignore-identical-ids and --mteb",
            param_hint="--data",
        )
    if cache is None and (data.suffix.lower() == ".tar" or any(data.glob("*.tar"))):
        raise typer.BadParameter(
            "pictures in tar shards are unpacked first; say where to", param_hint="--cache"
        )
    for path in (report, as_json):
        if path is not None:
            check_writable(path)  # before minutes of encoding are lost to a mistyped name
    from unisem.encoders import load_encoder
    from unisem.evaluation import (
        ClassNames,
        EvaluationOptions,
        evaluate_benchmarks,
        evaluate_zero_shot,
        read_benchmark,
        subsets_of,
    )
    from unisem.evaluation import evaluate as run

    benchmarks = [
        read_benchmark(
            folder,
            split=split,
            subset=one,
            ignore_identical_ids=ignore_identical_ids,
            unpack_to=None if cache is None else cache / "pictures",
        )
        for folder in folders
        for one in (dict.fromkeys(subset) if subset else subsets_of(folder))
    ]
    options = EvaluationOptions(
        ks=tuple(ks or (1, 5, 10)),
        limit=limit,
        held_out=part,
        seed=seed,
        splits=splits,
    )
    chosen = load_encoder(encoder, **asked.given)
    other = None if against is None else load_encoder(against)
    try:
        with progress_bars() as show:
            if benchmarks:
                found = evaluate_benchmarks(
                    chosen,
                    benchmarks,
                    against=other,
                    options=options,
                    name=str(data),
                    cache=cache,
                    progress=show,
                )
            elif zero_shot is not None:
                found = evaluate_zero_shot(
                    chosen,
                    _labelled(data, images, image_column, caption_column),
                    ClassNames.read(zero_shot, templates),
                    against=other,
                    options=options,
                    name=str(data),
                    cache=cache,
                    progress=show,
                )
            else:
                pairs = read_pairs(
                    data,
                    images=images,
                    image_column=image_column,
                    caption_column=caption_column,
                    clean=clean,
                    unpack_to=None if cache is None else cache / "pictures",
                )
                found = run(
                    chosen,
                    pairs,
                    against=other,
                    options=options,
                    name=str(data),
                    cache=cache,
                    progress=show,
                )
    except KeyboardInterrupt:
        if cache is not None:
            note(f"interrupted; what was encoded is kept in {cache}")
        raise
    print_report(found)
    for one in benchmarks:
        if one.empty:
            told = amount(one.empty, "document")
            note(f"{plain(one.title)}: {told} with neither text nor picture left out")
        if one.unfindable:
            told = amount(one.unfindable, "judgement")
            note(f"{plain(one.title)}: {told} of what is not there, counted as never found")
        if one.unanswered:
            note(
                f"{plain(one.title)}: {one.unanswered:,} judged queries have no relevant document; "
                "they were not asked"
            )
    write_files(found, as_json, report)
    if mteb is not None:
        _write_mteb(mteb, found, benchmarks, data, language)


def _labelled(data: Path, images: Path | None, image_column: str, label: str) -> PairDataset:
    """Pictures with their classes."""
    from unisem.pairs import PairDataset
    from unisem.pairs.sources.tables import Columns

    if data.is_dir():
        return PairDataset.from_class_folders(data)
    return PairDataset.read(data, columns=Columns(image_column, label), image_root=images)


def _write_mteb(
    folder: Path,
    found: Report,
    benchmarks: Sequence[Benchmark],
    data: Path,
    languages: Sequence[str] | None,
) -> None:
    from unisem.evaluation import mteb_classification, mteb_results, write_mteb
    from unisem.evaluation.mteb import UNKNOWN

    of, said = found.encoder, languages or (UNKNOWN,)
    results = mteb_results(found, benchmarks, said)
    if not benchmarks:
        results = [mteb_classification(found, data.resolve().stem, said)]
    for path in write_mteb(folder, of.name, of.fingerprint, of.dimension, results):
        note(f"wrote {path}")


def write_files(found: Report | Diagnosis, as_json: Path | None, report: Path | None) -> None:
    """Write what was found where it was asked for, and say so."""
    if as_json is not None:
        found.write_json(as_json)
        note(f"wrote {as_json}")
    if report is not None:
        found.write_html(report)
        note(f"wrote {report}")


def check_writable(path: Path) -> None:
    """Refuse a file that could not be written in the end.

    Raises:
        OSError: It is a folder, or in none.
    """
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; name a file")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path}: there is no folder {path.parent}")
