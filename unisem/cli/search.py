"""``unisem search``: one ranked list of texts and pictures."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from unisem.cli.options import ImageRoots, Space
from unisem.errors import FilterError, ImageError

if TYPE_CHECKING:
    from unisem.filters import Filter
    from unisem.records import Modality
    from unisem.search.reranking import RerankReport
    from unisem.space import SemanticSpace
    from unisem.stores.kind import Place


_NONE_YET = "(none yet)"  # what the prompt's questions stand in the place of
_MODALITIES: tuple[Modality, ...] = ("text", "image")
_Kind = StrEnum("_Kind", ["text", "image"])  # typer takes no list of literals


def search(
    space: Space,
    query: Annotated[str | None, typer.Argument(help="What to look for, as text.")] = None,
    image: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A picture to look for.")
    ] = None,
    text_weight: Annotated[
        float,
        typer.Option(
            metavar="W", min=0, max=1, help="Share of the text, if it comes with a picture."
        ),
    ] = 0.5,
    top: Annotated[
        int, typer.Option("-k", "--top", metavar="N", min=1, help="At most how many hits.")
    ] = 5,
    modality: Annotated[
        Literal["text", "image"] | None,
        typer.Option(help="Only records without, or with, a picture."),
    ] = None,
    match: Annotated[
        Literal["any", "text", "image", "both"],
        typer.Option(help="Compare with texts, with pictures, with both fused, or with any."),
    ] = "any",
    mode: Annotated[
        Literal["vector", "keyword", "hybrid"],
        typer.Option(help="By meaning, by the words of the text, or by both."),
    ] = "vector",
    words: Annotated[
        Literal["whole", "parts"],
        typer.Option(help="Keywords are words, or parts of words, too, as of German compounds."),
    ] = "whole",
    min_score: Annotated[
        float | None,
        typer.Option(metavar="X", help="Only hits by meaning whose score is at least this."),
    ] = None,
    min_relevance: Annotated[
        float | None,
        typer.Option(
            metavar="P",
            help="Only hits by meaning that are relevant with at least this probability.",
        ),
    ] = None,
    conditions: Annotated[
        list[str] | None,
        typer.Option(
            "--filter",
            metavar="'KEY OP VALUE'",
            help="Only records whose metadata match, e.g. 'year >= 2020'; may be repeated.",
        ),
    ] = None,
    neighbors: Annotated[
        int,
        typer.Option(
            metavar="N", min=0, help="Bring so many records before and after each hit, and its own."
        ),
    ] = 0,
    duplicates: Annotated[
        Literal["keep", "same", "near"],
        typer.Option(
            help="One hit for what is the same picture, byte for byte, or nearly the same; or keep "
            "all."
        ),
    ] = "near",
    diversity: Annotated[
        float | None,
        typer.Option(
            metavar="D", min=0, max=1, help="From 0, the best hits, to 1, those least alike."
        ),
    ] = None,
    graph: Annotated[
        Literal["pagerank", "taxonomy"] | None,
        typer.Option(help="Walk the space's knowledge graph, or go down its taxonomy, too."),
    ] = None,
    reranker: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Rerank by this model: a directory or a hub id."),
    ] = None,
    rerank_modality: Annotated[
        list[_Kind] | None,
        typer.Option(help="Rerank only records without, or with, a picture; both if repeated."),
    ] = None,
    rerank_seconds: Annotated[
        float | None,
        typer.Option(metavar="S", help="Rerank as many as fit in this time.", min=0.001),
    ] = None,
    search_weight: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="Rerank by both: the search's own score has this share, the reranker's the rest. "
            "Without it the reranker's calibration says it, if there is one.",
            min=0,
            max=1,
        ),
    ] = None,
    page: Annotated[
        Path | None, typer.Option("--html", metavar="PAGE", help="Write the hits to a page, too.")
    ] = None,
    batch: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Answer every line of a file, or of - for standard input: texts, or JSON in a "
            ".jsonl; prints a line of JSON for each.",
        ),
    ] = None,
    image_roots: ImageRoots = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    as_lines: Annotated[
        bool,
        typer.Option(
            "--jsonl",
            help="Print a line of JSON for each hit; by meaning and with --duplicates same or "
            "keep, as it comes.",
        ),
    ] = False,
) -> None:
    """Find the records nearest to a text, a picture, or both; without either, ask one by one."""
    text = (query or "").strip() or None
    asks_once = text is not None or image is not None
    if query is not None and not asks_once:
        raise typer.BadParameter("give a text, a picture with --image FILE, or both")
    if batch is not None and (asks_once or page is not None):
        raise typer.BadParameter("goes without QUERY, --image and --html", param_hint="--batch")
    if as_json and not asks_once and batch is None:
        raise typer.BadParameter("needs QUERY or --image FILE", param_hint="--json")
    if as_lines and (as_json or not asks_once):
        raise typer.BadParameter(
            "goes with QUERY or --image FILE, and without --json", param_hint="--jsonl"
        )
    if words == "parts" and mode == "vector":
        raise typer.BadParameter(
            "parts of words are looked for with --mode keyword or --mode hybrid only",
            param_hint="--words",
        )
    condition = _condition(conditions or [])
    said = (rerank_seconds, search_weight)
    if reranker is None and (rerank_modality or said != (None, None)):
        raise typer.BadParameter("say which model reranks", param_hint="--reranker")
    reports: list[RerankReport] = []
    reranking = None
    if reranker is not None:
        from unisem.search.reranking import Reranking

        reranking = Reranking.load(
            reranker,
            modalities=[it for it in _MODALITIES if it in (rerank_modality or _MODALITIES)],
            seconds=rerank_seconds,
            report=reports.append,
            search_weight=search_weight,
        )
    from unisem.search.graph_expansion import GraphExpansion
    from unisem.search.query import Query
    from unisem.stores.selection import Selection

    try:
        asked = Query(
            text=text if asks_once else _NONE_YET,
            image=image,
            text_weight=text_weight,
            k=top,
            selection=Selection(filter=condition, modality=modality),
            match=match,
            mode=mode,
            min_score=min_score,
            min_relevance=min_relevance,
            duplicates=duplicates,
            diversity=diversity,
            neighbors=neighbors,
            graph=None if graph is None else GraphExpansion(method=graph),
            reranker=reranking,
        )
    except ImageError:
        raise
    except ValueError as error:
        options = {
            "min_score": "--min-score",
            "min_relevance": "--min-relevance",
            "mode": "--mode",
            "reranker": "--reranker",
        }
        hint = next((options[name] for name in options if name in str(error)), "QUERY")
        raise typer.BadParameter(str(error), param_hint=hint) from None
    with open_existing(space, words) as opened:
        for root in image_roots or ():
            opened.image_library.allow(root)
        if reranker is not None and reranking is not None:
            from unisem.rerank import load_reranker

            judge = load_reranker(reranker, encoder=opened.encoder)
            asked = replace(asked, reranker=replace(reranking, reranker=judge))
        from unisem.cli.answering import Answering

        answering = Answering(opened, asked, conditions or [], page, reports)
        if batch is not None:
            from unisem.cli.batch import answer_all

            answer_all(answering, batch)
        elif not asks_once:
            from unisem.cli.prompt import Prompt

            Prompt(answering).run()
        elif as_lines:
            for line in answering.lines(asked):
                sys.stdout.write(json.dumps(line) + "\n")
                sys.stdout.flush()
        else:
            hits = answering.answer(asked)
            if as_json:
                answer = answering.as_json(asked, hits)
                sys.stdout.write(json.dumps(answer, indent=2) + "\n")
            else:
                answering.show(asked, hits)


def open_existing(path: Place, words: Literal["whole", "parts"] = "whole") -> SemanticSpace:
    """Open a space that must be there; a search should not leave an empty one behind.

    Args:
        path: Where it is.
        words: As of `FaissKind`.

    Raises:
        UniSemError: There is no space, or it cannot be opened.
    """
    from unisem.manifest import Manifest, kind_for
    from unisem.space import SemanticSpace

    manifest = Manifest.existing(path)
    if words == "whole":
        return SemanticSpace.open(path)
    kind = kind_for(manifest, None, path).with_settings(words=words)
    return SemanticSpace.open(path, store=kind)


def _condition(conditions: list[str]) -> Filter | None:
    from unisem.cli.filtering import parse_filters

    try:
        return parse_filters(conditions)
    except FilterError as error:
        raise typer.BadParameter(str(error), param_hint="--filter") from None
