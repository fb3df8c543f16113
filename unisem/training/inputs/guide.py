"""`Guide`: an encoder that says which negatives of a batch are none (GIST)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from unisem.encoders import Encoder
from unisem.encoders.base import Role
from unisem.errors import EncoderError, TrainingError
from unisem.pairs.dataset import PairDataset, content_numbers
from unisem.pairs.input import Input
from unisem.records import Vector
from unisem.training.inputs.feature_cache import FeatureCache
from unisem.training.inputs.preparing import content_digest
from unisem.training.losses import Guided, PairLoss

_PART = 256  # inputs between two reports of progress


@dataclass(frozen=True, slots=True)
class Guide:
    """The encoder of a `Guided` loss; its vectors are computed once and stored.

    Attributes:
        encoder: Embeds queries and documents.
        cache: Where vectors are stored, by content.
    """

    encoder: Encoder
    cache: Path

    def around(
        self,
        loss: PairLoss,
        dataset: PairDataset,
        advance: Callable[[int, int], None] = lambda done, total: None,
    ) -> PairLoss:
        """A loss without the negatives that the guide finds too alike.

        Args:
            loss: The loss.
            dataset: The checked pairs that it will see.
            advance: Called with inputs embedded and inputs in all.

        Raises:
            TrainingError: The encoder does not take what the pairs are made of.
        """
        if "both" in dataset.forms:
            raise TrainingError(
                "a guide looks at texts and at pictures, not at both in one; train without it"
            )
        _, asked = np.unique(dataset.query_ids, return_index=True)
        queries = [dataset[int(position)].query for position in asked]
        # Ids of documents, as labels have them: queries are counted among the contents, and given
        # negatives too, but no query alone is looked at as a document.
        found = [
            *(pair.document for pair in dataset),
            *(pair.query for pair in dataset),
            *(one for pair in dataset for one in pair.negatives),
        ]
        contents = content_numbers(found).tolist()
        first: dict[int, Input] = {}
        for number, (content, one) in enumerate(zip(contents, found, strict=True)):
            if not len(dataset) <= number < 2 * len(dataset):
                first.setdefault(content, one)
        documents = list(first.values())
        total = len(queries) + len(documents)
        try:
            texts = self._vectors(queries, "query", lambda done: advance(done, total))
            looked = self._vectors(
                documents, "document", lambda done: advance(len(queries) + done, total)
            )
        except EncoderError as error:
            raise TrainingError(
                f"the guide does not take these pairs: {error}; name another"
            ) from error
        images = np.zeros((max(contents) + 1, looked.shape[1]), np.float32)
        images[list(first)] = looked
        return Guided(loss, torch.from_numpy(texts), torch.from_numpy(images))

    def _vectors(self, inputs: list[Input], role: Role, advance: Callable[[int], None]) -> Vector:
        """``(n, d)`` float32."""
        rows: dict[int, Vector] = {}
        words = [n for n, one in enumerate(inputs) if one.image is None]
        shown = [n for n, one in enumerate(inputs) if one.image is not None]
        if words:
            texts = [inputs[n].text or "" for n in words]
            found = self._store(f"text-{role}").get(
                [hashlib.sha256(text.encode()).hexdigest() for text in texts],
                lambda part: self.encoder.encode_texts([texts[n] for n in part], role=role),
            )
            rows |= dict(zip(words, found, strict=True))
            advance(len(rows))
        if shown:
            images = [image for n in shown if (image := inputs[n].image) is not None]
            found = self._store("image").get(
                [content_digest(image) for image in images],
                lambda part: self.encoder.encode_images([images[n] for n in part]),
                lambda done, missing: advance(len(words) + done),
            )
            rows |= dict(zip(shown, found, strict=True))
            advance(len(rows))
        return np.stack([rows[n] for n in range(len(inputs))])

    def _store(self, kind: str) -> FeatureCache:
        folder = self.cache / f"guide-{self.encoder.fingerprint[:32]}-{kind}"
        return FeatureCache(folder, part=_PART)
