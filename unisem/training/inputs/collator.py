"""`PairCollator`: numbers of pairs to a batch, as the trainer wants it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from unisem.pairs.dataset import Ids
from unisem.training.inputs.prepared import PreparedPairs, Slot
from unisem.training.losses.exchange import several_processes

_QUERY, _DOCUMENT = "query_", "document_"
_OTHERS: dict[Slot, str] = {
    ("document", "text"): "negative_text_",
    ("document", "image"): "negative_image_",
    ("document", "both"): "negative_both_",
}


class PairCollator:
    """Makes a batch of queries, their documents, hard negatives, and labels.

    A batch is of one kind of pairs. In-batch negatives of another modality would be told from the
    right document by that alone: they would teach nothing but to tell modalities apart.

    Args:
        pairs: What batches are made of.
        negatives: ``(n, h)`` pairs whose documents are added to the batch as hard negatives.
        seed: Decides the random changes of pictures.

    Attributes:
        negatives: As given; others from the next batch on.
        epoch: Set by the trainer, so that every epoch sees pictures changed otherwise.
    """

    # What the trainer asks of a collator beside calling it.
    valid_label_columns = ("label",)

    def __init__(
        self,
        pairs: PreparedPairs,
        negatives: Ids | None = None,
        seed: int = 0,
    ) -> None:
        self._pairs = pairs
        self.negatives = negatives
        self._seed = seed
        self.epoch = 0
        self._right_for = right_for(pairs)
        self._nobody = int(pairs.query_ids.max(initial=-1)) + 1

    @property
    def kinds(self) -> dict[str, Ids]:
        """Which pairs are of each kind; a batch is of one."""
        return self._pairs.kinds

    def __call__(self, rows: Sequence[dict[str, int]]) -> dict[str, Any]:
        """Make a batch of the epoch that is set; see `make`."""
        return self.make(rows, self.epoch)

    def make(self, rows: Sequence[dict[str, int]], epoch: int) -> dict[str, Any]:
        """Make a batch.

        Args:
            rows: ``{"pair": number}`` for each of n pairs of one kind.
            epoch: Decides the random changes of pictures, together with the seed.

        Returns:
            Features of n queries (``query_…``), of their documents and of hard negatives that enter
            the model as these do (``document_…``), of other negatives (``negative_text_…`` …), and
            ``label``: for each of the m documents and negatives, in that order, ``(m, 2 + w)``
            int64, its id, that of its pair's query, and those of w other queries that it is no
            negative of, -1 where there are fewer: those of the batch, or, where several processes
            share one, all that there are.
        """
        pairs, inputs = self._pairs, self._pairs.inputs
        chosen = [row["pair"] for row in rows]
        shown = list(chosen)
        if self.negatives is not None:
            shown += self.negatives[chosen].flatten().tolist()
        columns = {_DOCUMENT: pairs.documents[shown].tolist()}
        slot = inputs.slots[columns[_DOCUMENT][0]]
        given = [number for pair in chosen for number in pairs.negatives[pair]]
        for other, prefix in ((slot, _DOCUMENT), *_OTHERS.items()):
            found = [number for number in given if inputs.slots[number] == other]
            if found and (other != slot or prefix == _DOCUMENT):
                columns[prefix] = [*columns.get(prefix, []), *found]
        batch = _named(_QUERY, inputs.features(pairs.queries[chosen].tolist(), (self._seed, epoch)))
        wrong: list[int] = []
        for prefix, numbers in columns.items():
            batch |= _named(prefix, inputs.features(numbers, (self._seed, epoch)))
            wrong += numbers if prefix != _DOCUMENT else numbers[len(shown) :]
        return batch | {"label": torch.from_numpy(self._labels(shown, wrong))}

    def columns(self, batch: dict[str, Any]) -> list[dict[str, Any]]:
        """The features of a batch's columns, as the trainer takes them apart."""
        prefixes = (_QUERY, _DOCUMENT, *_OTHERS.values())
        found = (
            {key.removeprefix(p): value for key, value in batch.items() if key.startswith(p)}
            for p in prefixes
        )
        return [features for features in found if features]

    def one_of_each(self) -> list[list[dict[str, int]]]:
        """Small batches that together pass whatever the pairs pass."""
        pairs, slots = self._pairs, self._pairs.inputs.slots
        firsts: dict[tuple[str, Slot | None], int] = {}
        for kind, rows in pairs.kinds.items():
            for row in rows.tolist():
                firsts.setdefault((kind, None), row)
                for number in pairs.negatives[row]:
                    firsts.setdefault((kind, slots[number]), row)
        return [[{"pair": row}] for row in sorted(set(firsts.values()))]

    def _labels(self, shown: list[int], wrong: list[int]) -> Ids:
        """Of the documents of some pairs, and of given negatives, which are of nobody's pair."""
        ids = self._pairs.document_ids[wrong]
        pairs = np.concatenate([self._pairs.labels(shown), np.stack([ids, self._nobody + ids], 1)])
        others: list[Sequence[int]] = [
            self._right_for.get(document, ()) for document in pairs[:, 0].tolist()
        ]
        if not several_processes():  # else others' queries meet these documents, too
            asking = set(pairs[: len(shown), 1].tolist())
            others = [[query for query in queries if query in asking] for queries in others]
        width = max(map(len, others))
        filled = [[*queries, *[-1] * (width - len(queries))] for queries in others]
        return np.concatenate([pairs, np.array(filled, np.int64).reshape(len(pairs), width)], 1)


def right_for(pairs: PreparedPairs) -> dict[int, list[int]]:
    """By a document's id the queries, by theirs, that it is right for, or that it is itself.

    Left out are queries with one such document: in a batch with these, it is their pair's.
    """
    own = pairs.document_ids[pairs.queries]
    shown = {int(pairs.document_ids[n]) for row in pairs.negatives for n in row}
    shown |= set(pairs.document_ids[pairs.documents].tolist())
    documents: dict[int, set[int]] = {}
    for (document, query), itself in zip(
        pairs.labels(range(len(pairs))).tolist(), own.tolist(), strict=True
    ):
        documents.setdefault(query, set()).update({document, itself} & shown)
    found: dict[int, list[int]] = {}
    for query, right in documents.items():
        for document in right if len(right) > 1 else ():
            found.setdefault(document, []).append(query)
    return found


def _named(prefix: str, features: dict[str, Any]) -> dict[str, Any]:
    return {f"{prefix}{key}": value for key, value in features.items()}
