"""hit@k of a model on pairs, before, during and after training."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers.base.evaluation import BaseEvaluator
from sentence_transformers.util import batch_to_device

from unisem.evaluation import Ranking
from unisem.pairs.dataset import Ids
from unisem.records import Vector
from unisem.rerank.max_sim import max_sim
from unisem.training.inputs.prefetching import made_ahead
from unisem.training.inputs.prepared import Inputs, PreparedPairs

_BATCH = 32
_SCORES_AT_ONCE = 8_000_000  # 64 MB in float64


@dataclass(frozen=True, slots=True, eq=False)
class Rankings:
    """Both directions: queries that look for their documents, documents for their queries.

    Attributes:
        query_to_document: One query per distinct query.
        document_to_query: One per distinct document.
        query_groups: ``(queries,)`` the first document of each: what succeeds and fails together.
    """

    query_to_document: Ranking
    document_to_query: Ranking
    query_groups: Ids

    @classmethod
    def joined(cls, parts: Iterable[Self]) -> Self:
        """Those of several kinds as one: each query has the candidates of its kind."""
        parts = list(parts)
        starts = np.cumsum([0, *(len(part.document_to_query.ranks) for part in parts)])
        groups = [part.query_groups + start for part, start in zip(parts, starts, strict=False)]
        return cls(
            Ranking.joined([part.query_to_document for part in parts]),
            Ranking.joined([part.document_to_query for part in parts]),
            np.concatenate(groups),
        )


def rank_pairs(model: Any, pairs: PreparedPairs) -> dict[str, Rankings]:
    """Rank all distinct documents for each distinct query, and the other way round, kind by kind.

    Relevant to a query is every document that it, or an equal query, is paired with; candidates are
    the documents of the kind's pairs and their given negatives. What a query is itself is no
    candidate, unless it is relevant. Captions are embedded as queries in both directions.

    Args:
        model: A ``SentenceTransformer`` or a view of one, for the columns' features.
        pairs: The pairs.
    """
    return {kind: _ranked_kind(model, pairs, rows) for kind, rows in pairs.kinds.items()}


def _ranked_kind(model: Any, pairs: PreparedPairs, rows: Ids) -> Rankings:
    asked, first = np.unique(pairs.query_ids[rows], return_index=True)
    documents = pairs.documents[rows]
    given = np.array([n for row in rows.tolist() for n in pairs.negatives[row]], np.int64)
    everything = np.concatenate([documents, given])
    ids = pairs.document_ids[everything]
    known, shown = np.unique(pairs.document_ids[documents], return_index=True)
    others, also = np.unique(ids[len(rows) :], return_index=True)
    new = ~np.isin(others, known)
    candidates = np.concatenate([documents[shown], given[also[new]]])
    queries = _embedded(model, pairs.inputs, pairs.queries[rows][first])
    found = _embedded(model, pairs.inputs, candidates)
    relevant: list[set[int]] = [set() for _ in asked]
    described: list[set[int]] = [set() for _ in known]
    columns = np.searchsorted(known, pairs.document_ids[documents]).tolist()
    for document, query in zip(
        columns, np.searchsorted(asked, pairs.query_ids[rows]).tolist(), strict=True
    ):
        relevant[query].add(document)
        described[document].add(query)
    own = pairs.document_ids[pairs.queries[rows][first]]
    shown_ids = np.concatenate([known, others[new]])
    return Rankings(
        _ranked(lambda part: _similarities(queries[part], found), relevant, (own, shown_ids)),
        _ranked(
            lambda part: _similarities(queries, found[: len(known)][part]).T,
            described,
            (known, own),
        ),
        np.array([min(wanted) for wanted in relevant], np.int64),
    )


def _ranked(
    scores: Callable[[slice], NDArray[np.floating[Any]]],
    relevant: Sequence[set[int]],
    ids: tuple[Ids, Ids],
) -> Ranking:
    """Rank block by block; equal vectors tie, as in `unisem.evaluation.answers.Answers`.

    Args:
        scores: Of n queries, of which it is given a part, and m candidates.
        relevant: The candidates that are relevant to each query.
        ids: ``(n,)`` and ``(m,)``, equal where a query and a candidate are the same.
    """
    place = {number: position for position, number in enumerate(ids[1].tolist())}
    itself = [place.get(number, -1) for number in ids[0].tolist()]
    step = max(1, _SCORES_AT_ONCE // len(ids[1]))
    parts = []
    for start in range(0, len(relevant), step):
        part = slice(start, start + step)
        found = scores(part)
        for row, column in enumerate(itself[part]):
            if column >= 0 and column not in relevant[start + row]:
                found[row, column] = -np.inf
        wanted = [sorted(columns) for columns in relevant[part]]
        parts.append(Ranking.of(found.astype(np.float32), wanted))
    return Ranking.joined(parts)


def _similarities(queries: list[Vector], documents: list[Vector]) -> NDArray[np.floating[Any]]:
    """``(n, m)`` cosines; of token vectors means of MaxSim, as `LateInteraction` has them."""
    if queries[0].ndim == 1:
        columns = np.stack(documents).astype(np.float64).T
        similar: NDArray[np.floating[Any]] = np.stack(queries).astype(np.float64) @ columns
        return similar
    parts = [[document] for document in documents]
    return np.stack([max_sim(query, parts) / max(len(query), 1) for query in queries])


def embed(model: Any, inputs: Inputs, numbers: Sequence[int] | Ids) -> Vector:
    """``(n, d)`` float32 unit vectors of inputs, each computed once."""
    return np.stack(_embedded(model, inputs, numbers))


def _embedded(model: Any, inputs: Inputs, numbers: Sequence[int] | Ids) -> list[Vector]:
    """Unit vectors of inputs, ``(d,)`` of each, or ``(t, d)`` of its tokens."""
    distinct, place = np.unique(np.asarray(numbers, np.int64), return_inverse=True)
    was_training = model.training
    model.eval()
    batches = []
    for slot in inputs.columns:
        here = [number for number in distinct.tolist() if inputs.slots[number] == slot]
        batches += [here[start : start + _BATCH] for start in range(0, len(here), _BATCH)]
    rows: dict[int, Vector] = {}
    with torch.inference_mode():
        for batch, made in zip(batches, made_ahead(inputs.features, batches), strict=True):
            features = batch_to_device(made, model.device)
            vectors = model(features)["sentence_embedding"].float()
            unit = torch.nn.functional.normalize(vectors, dim=-1).cpu().numpy()
            tokens = unit.ndim > 2
            rows |= {
                number: found[found.any(axis=1)] if tokens else found
                for number, found in zip(batch, unit, strict=True)
            }
    model.train(was_training)
    return [rows[number] for number in distinct[place].tolist()]


class HitEvaluator(BaseEvaluator):  # type: ignore[misc]
    """hit@k from query to document, for early stopping.

    Args:
        pairs: Pairs that are not trained on.
        k: How far down counts.
    """

    def __init__(self, pairs: PreparedPairs, k: int) -> None:
        super().__init__()
        self._pairs = pairs
        self._k = k
        self.primary_metric = f"hit@{k}"

    def __call__(
        self, model: Any, output_path: str | None = None, epoch: int = -1, steps: int = -1
    ) -> dict[str, float]:
        """Evaluate; ``hit@k`` and ``mrr``."""
        ranking = Rankings.joined(rank_pairs(model, self._pairs).values()).query_to_document
        return {
            self.primary_metric: float(ranking.hit(self._k).mean()),
            "mrr": float(ranking.reciprocal_rank().mean()),
        }
