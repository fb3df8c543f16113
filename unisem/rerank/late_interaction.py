"""`LateInteractionReranker`: models that give a vector for every token, compared by MaxSim."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

from numpy.typing import ArrayLike
from PIL import Image

from unisem.common.lazy_property import lazy_property
from unisem.models.special_tokens import matching, special_tokens, spelled_out
from unisem.rerank.local_reranker import LocalReranker

if TYPE_CHECKING:
    from torch import Tensor

Side = tuple[str | None, Image.Image | None]


class LateInteractionReranker(LocalReranker):
    """Compares every token of the query with every token of a record; see `LocalReranker`.

    The score is MaxSim (Khattab and Zaharia 2020, ColBERT, section 3.3): for each vector of the
    query the largest dot product with one of the record's, added up; a model that was trained on
    the mean gives that. The record's vectors are those of its picture (ColPali: of its patches) and
    those of its text, so that each word of the query is found where it is shown best.

    Any ``MultiVectorEncoder`` of sentence-transformers loads: ColBERT's and PyLate's models, and
    ColPali, ColQwen and their kin.
    """

    @property
    def sees_images(self) -> bool:
        """See `LocalReranker.sees_images`."""
        return bool(self.model.supports("image"))

    def _load(self) -> Any:
        from sentence_transformers import MultiVectorEncoder

        return self._from_files(MultiVectorEncoder, _outputs)

    @lazy_property
    def _special(self) -> re.Pattern[str]:
        return matching(special_tokens(self.model))

    def _side(self, text: str | None, picture: Image.Image | None = None) -> Side:
        return (None if text is None else spelled_out(text, self._special)), picture

    def _asked(self, side: Side) -> Tensor:
        return self._vectors([side], "query")[0]  # (t, d)

    def _scores(self, query: Tensor, sides: Sequence[Side]) -> ArrayLike:
        scores: Tensor = self.model.similarity([query], self._vectors(sides, "document"))  # (1, n)
        return scores[0].cpu().numpy()

    def _vectors(self, sides: Sequence[Side], task: Literal["query", "document"]) -> list[Tensor]:
        """Each side's ``(t, d)`` token vectors, a picture's before those of its text."""
        import torch

        parts: list[list[Tensor]] = [[] for _ in sides]
        encode = self.model.encode_query if task == "query" else self.model.encode_document
        for modality, place in (("image", 1), ("text", 0)):
            given = [n for n, side in enumerate(sides) if side[place] is not None]
            if given:
                inputs = [{modality: sides[n][place]} for n in given]
                found = encode(inputs, batch_size=len(inputs), show_progress_bar=False)
                for n, vectors in zip(given, found, strict=True):
                    parts[n].append(vectors)
        return [torch.cat(part) for part in parts]


def _outputs(model: Any) -> Iterator[Tensor]:
    """The vectors of a text in both roles, and of a picture."""
    from sentence_transformers.util import batch_to_device

    probes: list[tuple[str, str, Any]] = [
        ("text", "query", "a"),
        ("text", "document", "a"),
        ("image", "document", Image.new("RGB", (64, 64))),
    ]
    for modality, task, value in probes:
        if model.supports(modality):
            features = model.preprocess([{modality: value}], task=task)
            yield model(batch_to_device(features, model.device), task=task)["token_embeddings"]
