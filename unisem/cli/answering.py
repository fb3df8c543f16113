"""`Answering`: a space that stays open, and how its answers are shown."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unisem.cli.advice import advice, unknown_language
from unisem.cli.hit_table import doubt, hits_table
from unisem.cli.terminal import amount, note, results

if TYPE_CHECKING:
    from unisem.graph import KnowledgeGraph
    from unisem.images.reference import ImageSource
    from unisem.search.query import Query
    from unisem.search.reranking import RerankReport
    from unisem.space import SemanticSpace
    from unisem.stores.hits import Hit

_JUDGED = 1000  # hits of a search that are kept, of which somebody may say what was right


@dataclass
class Answering:
    """Asks one space, and shows what it finds.

    Attributes:
        space: The space.
        query: What every question has in common.
        conditions: The filters, as they were typed.
        page: Where each answer is written as a page; nowhere if ``None``.
        reports: What a reranker says of the last answer.
    """

    space: SemanticSpace
    query: Query
    conditions: list[str]
    page: Path | None = None
    reports: list[RerankReport] = field(default_factory=list)

    def asked(self, text: str | None, image: ImageSource | None = None) -> Query:
        """A question.

        Raises:
            ImageError: The picture is none.
            ValueError: The mode cannot ask so.
        """
        return replace(self.query, text=text, image=image)

    def answer(self, query: Query, *, unlike: str | None = None) -> list[Hit]:
        """What is found, once; its page is written, and the search is kept where that is wanted.

        Args:
            query: The question.
            unlike: Id of a record that is no answer, and neither is what it is a copy of.

        Raises:
            OSError: The page cannot be written.
        """
        self.reports.clear()
        hits = self.space.search_query(query) if unlike is None else self._others(query, unlike)
        if self.page is not None:
            self._write_page(self.page, query, hits)
            note(f"wrote {self.page}")
        for report in self.reports:
            note(
                f"reranked {report.judged:,} of {amount(report.candidates, 'candidate')} in "
                f"{report.seconds:.1f} s"
                + (f", no time for {report.left:,}" if report.left else "")
            )
        self._keep(query, [hit.record.id for hit in hits])
        return hits

    def _others(self, query: Query, unlike: str) -> list[Hit]:
        """The hits but for one record, as many as if it were not there, and what surrounds them.

        What surrounds them may be the record itself, or a copy that made way for it, which is no
        answer there either.
        """
        from unisem.search.neighbors import with_neighbors

        hits = self.space.search_query(replace(query, k=query.k + 1, neighbors=0))
        others = [hit for hit in hits if not hit.stands_for(unlike)][: query.k]
        around = with_neighbors(self.space.store, others, query.neighbors, query.selection)
        standing = [hit for hit in hits if hit.stands_for(unlike)]
        left_out = {unlike, *(it.id for hit in standing for it in (hit.record, *hit.copies))}
        return [hit for hit in around if hit.record.id not in left_out]

    def _keep(self, query: Query, shown: Sequence[str]) -> None:
        """Keep a search by words where somebody wants that; see `unisem feedback`."""
        if query.text is None or query.image is not None or self.space.path is None:
            return
        from unisem.pairs.labelling.feedback import Feedback

        kept = Feedback(self.space.path)
        if kept.is_on:
            number = kept.keep(query.text, shown[:_JUDGED])
            place = self.space.path
            note(f"kept as search {number}; which was right? unisem feedback good {place} RANK")

    def answer_all(self, queries: Sequence[Query]) -> list[list[Hit]]:
        """What each finds, in less time than one by one; nothing is written or kept."""
        self.reports.clear()
        return self.space.search_many(queries)

    def show(self, query: Query, hits: list[Hit], *, started: float | None = None) -> None:
        """Print an answer as a table, with what is to be said of it.

        Args:
            query: The question.
            hits: What was found.
            started: When it was asked, by `time.perf_counter`, where that is to be told.
        """
        seconds = None if started is None else time.perf_counter() - started
        if hits:
            results().print(hits_table(hits, self.space.image_library))
        for said in self.remarks(query, hits):
            note(said)
        if seconds is not None:
            note(f"{amount(len(hits), 'hit')} in {1000 * seconds:,.0f} ms")

    def remarks(self, query: Query, hits: list[Hit]) -> list[str]:
        """Sentences on an answer that may be none."""
        nothing = "" if hits else "Nothing found."
        said = doubt(hits, min_relevance=query.min_relevance) or nothing
        tries = "" if hits else advice(query, self.space)
        whole = " ".join(filter(None, [said, tries]))
        return list(filter(None, [whole, unknown_language(query, self.space.encoder)]))

    def as_json(self, query: Query, hits: list[Hit]) -> dict[str, Any]:
        """An answer for programs."""
        from unisem.images.reference import ImageRef

        image = query.image if isinstance(query.image, ImageRef) else None
        return {
            "query": {
                "text": query.text,
                "image": None if image is None else str(image.path),
                "k": query.k,
                "mode": query.mode,
            },
            "reranking": self.reports[0]._asdict() if len(self.reports) == 1 else None,
            "hits": [_hit_as_json(rank, hit) for rank, hit in enumerate(hits, start=1)],
        }

    def lines(self, query: Query) -> Iterator[dict[str, Any]]:
        """Each hit for programs, while the next are read; all at once where the query needs all."""
        from unisem.search.streaming import in_the_way

        if self.page is not None or in_the_way(query):
            for rank, hit in enumerate(self.answer(query), start=1):
                yield _hit_as_json(rank, hit)
            return
        shown: list[str] = []
        for rank, hit in enumerate(self.space.iterate(query), start=1):
            yield _hit_as_json(rank, hit)
            if rank <= _JUDGED:
                shown.append(hit.record.id)
        self._keep(query, shown)

    def _write_page(self, page: Path, query: Query, hits: list[Hit]) -> None:
        from unisem.cli.page import Page, Section

        kinds = {"image": "records with a picture", "text": "records without a picture"}
        compared = {"image": "compared with pictures", "text": "compared with texts and captions"}
        modes = {"keyword": "by keyword", "hybrid": "by meaning and keyword"}
        remarks = [
            modes.get(query.mode),
            kinds.get(query.selection.modality or ""),
            compared.get(query.match),
            "copies, too" if query.duplicates == "keep" else None,
            None if not query.diversity else f"diversity {query.diversity:g}",
            None
            if query.min_relevance is None
            else f"relevant with a probability of {query.min_relevance:.0%} or more",
            *self.conditions,
        ]
        Page(
            title=query.text or "Like this picture",
            sections=(
                Section(
                    text=query.text,
                    image=query.image,
                    hits=tuple(hits),
                    remark=" · ".join(filter(None, remarks)),
                    doubt=" ".join(self.remarks(query, hits)),
                ),
            ),
            footer=f"{amount(len(self.space), 'record')} · encoder {self.space.encoder.name}",
            library=self.space.image_library,
            graph=_graph_of(self.space),
        ).write(page)


def _hit_as_json(rank: int, hit: Hit) -> dict[str, Any]:
    image = hit.record.image
    return {
        "rank": rank,
        "score": hit.score,
        "relevance": hit.relevance,
        "judged": hit.judged,
        "id": hit.record.id,
        "modality": hit.record.modality,
        "matched": hit.matched,
        "path": list(hit.path),
        "text": hit.record.text,
        "image": None if image is None else str(image.path),
        "copies": [
            {"id": copy.id, "image": None if copy.image is None else str(copy.image.path)}
            for copy in hit.copies
        ],
        "metadata": dict(hit.record.metadata),
    }


def _graph_of(space: SemanticSpace) -> KnowledgeGraph | None:
    """The space's graph, if its store keeps one and records mention something."""
    from unisem.errors import StoreError

    try:
        graph = space.graph
    except StoreError:
        return None
    return graph if graph.counts.mentions else None
