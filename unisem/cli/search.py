"""``unisem search``: one ranked list of texts and pictures."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from unisem.cli.options import ImageRoots, Space
from unisem.cli.terminal import amount, note, results
from unisem.errors import FilterError, ImageError

if TYPE_CHECKING:
    from unisem.filters import Filter
    from unisem.graph import KnowledgeGraph
    from unisem.records import Modality
    from unisem.search.query import Query
    from unisem.search.reranking import RerankReport
    from unisem.space import SemanticSpace
    from unisem.stores.hits import Hit
    from unisem.stores.kind import Place


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
        Literal["any", "text", "image"],
        typer.Option(help="Compare with texts and captions, with pictures, or with both."),
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
    distinct: Annotated[
        bool, typer.Option("--distinct", help="Copies of a picture take one place.")
    ] = False,
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
    page: Annotated[
        Path | None, typer.Option("--html", metavar="PAGE", help="Write the hits to a page, too.")
    ] = None,
    image_roots: ImageRoots = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Find the records nearest to a text, a picture, or both."""
    text = (query or "").strip() or None
    if text is None and image is None:
        raise typer.BadParameter("give a text, a picture with --image FILE, or both")
    if words == "parts" and mode == "vector":
        raise typer.BadParameter(
            "parts of words are looked for with --mode keyword or --mode hybrid only",
            param_hint="--words",
        )
    condition = _condition(conditions or [])
    if reranker is None and (rerank_modality or rerank_seconds is not None):
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
        )
    from unisem.search.graph_expansion import GraphExpansion
    from unisem.search.query import Query
    from unisem.stores.selection import Selection

    try:
        asked = Query(
            text=text,
            image=image,
            text_weight=text_weight,
            k=top,
            selection=Selection(filter=condition, modality=modality),
            match=match,
            mode=mode,
            min_score=min_score,
            min_relevance=min_relevance,
            distinct=distinct,
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
        hits = opened.search_query(asked)
        if text is not None and image is None and opened.path is not None:
            _keep(opened.path, text, hits)
        if page is not None:
            _write_page(page, opened, asked, hits, conditions or [])
            note(f"wrote {page}")
    for report in reports:
        note(
            f"reranked {report.judged:,} of {amount(report.candidates, 'candidate')} in "
            f"{report.seconds:.1f} s" + (f", no time for {report.left:,}" if report.left else "")
        )
    if as_json:
        sys.stdout.write(json.dumps(_as_json(asked, image, hits, reports), indent=2) + "\n")
        return
    from unisem.cli.hit_table import doubt, hits_table

    if hits:
        results().print(hits_table(hits))
    if said := doubt(hits, min_relevance=min_relevance) or ("" if hits else "nothing found"):
        note(said)


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


def _keep(directory: Path, text: str, hits: list[Hit]) -> None:
    """Keep the search where somebody wants that; see `unisem feedback`."""
    from unisem.pairs.labelling.feedback import Feedback

    kept = Feedback(directory)
    if kept.is_on:
        number = kept.keep(text, [hit.record.id for hit in hits])
        note(f"kept as search {number}; which was right? unisem feedback good {directory} RANK")


def _condition(conditions: list[str]) -> Filter | None:
    from unisem.cli.filtering import parse_filters

    try:
        return parse_filters(conditions)
    except FilterError as error:
        raise typer.BadParameter(str(error), param_hint="--filter") from None


def _as_json(
    query: Query, image: Path | None, hits: list[Hit], reports: list[RerankReport]
) -> dict[str, Any]:
    return {
        "query": {
            "text": query.text,
            "image": None if image is None else str(image),
            "k": query.k,
            "mode": query.mode,
        },
        "reranking": reports[0]._asdict() if reports else None,
        "hits": [
            {
                "rank": rank,
                "score": hit.score,
                "relevance": hit.relevance,
                "judged": hit.judged,
                "id": hit.record.id,
                "modality": hit.record.modality,
                "matched": hit.matched,
                "path": list(hit.path),
                "text": hit.record.text,
                "image": None if hit.record.image is None else str(hit.record.image.path),
                "metadata": dict(hit.record.metadata),
            }
            for rank, hit in enumerate(hits, start=1)
        ],
    }


def _write_page(
    page: Path, space: SemanticSpace, query: Query, hits: list[Hit], conditions: list[str]
) -> None:
    from unisem.cli.hit_table import doubt
    from unisem.cli.page import Page, Section

    kinds = {"image": "records with a picture", "text": "records without a picture"}
    compared = {"image": "compared with pictures", "text": "compared with texts and captions"}
    modes = {"keyword": "by keyword", "hybrid": "by meaning and keyword"}
    remarks = [
        modes.get(query.mode),
        kinds.get(query.selection.modality or ""),
        compared.get(query.match),
        "copies of a picture once" if query.distinct else None,
        None
        if query.min_relevance is None
        else f"relevant with a probability of {query.min_relevance:.0%} or more",
        *conditions,
    ]
    Page(
        title=query.text or "Like this picture",
        sections=(
            Section(
                text=query.text,
                image=query.image,
                hits=tuple(hits),
                remark=" · ".join(filter(None, remarks)),
                doubt=doubt(hits, min_relevance=query.min_relevance),
            ),
        ),
        footer=f"{amount(len(space), 'record')} · encoder {space.encoder.name}",
        library=space.image_library,
        graph=_graph_of(space),
    ).write(page)


def _graph_of(space: SemanticSpace) -> KnowledgeGraph | None:
    """The space's graph, if its store keeps one and records mention something."""
    from unisem.errors import StoreError

    try:
        graph = space.graph
    except StoreError:
        return None
    return graph if graph.counts.mentions else None
