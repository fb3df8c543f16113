"""`LateInteractionReranker`: models that give a vector for every token, compared by MaxSim."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from unisem.common.lazy_property import lazy_property
from unisem.errors import EncoderError, RerankerError
from unisem.images.reference import ImageRef, ImageSource
from unisem.models.finding import fingerprint_model
from unisem.models.special_tokens import matching, special_tokens, spelled_out
from unisem.records import Record
from unisem.rerank.int8_vectors import Int8Form, Int8Vectors, check_pool_factor
from unisem.rerank.local_reranker import LocalReranker, words_of
from unisem.rerank.max_sim import Vectors, max_sim
from unisem.rerank.token_reranker import TokenReranker
from unisem.rerank.token_store import TEXT, TokenStore, form_number, token_path

if TYPE_CHECKING:
    from torch import Tensor

Side = tuple[str | None, Image.Image | None]
_VERSION = 1  # of how records are read; another one makes other vectors


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    """A query's vectors, ``(q, w)`` float32, and in which form records are held against them."""

    vectors: NDArray[np.float32]
    form: Int8Form | None = None


class LateInteractionReranker(LocalReranker, TokenReranker):
    """Compares every token of the query with every token of a record; see `LocalReranker`.

    The score is MaxSim (Khattab and Zaharia 2020, ColBERT, section 3.3): for each vector of the
    query the largest dot product with one of the record's, added up; a model that was trained on
    the mean gives that. The record's vectors are those of its picture (ColPali: of its patches) and
    those of its text, so that each word of the query is found where it is shown best.

    A record's vectors do not depend on the query. A space can keep them (`TokenStore`) as whole
    numbers of eight bits, pooled if it is asked for; in such a space a query is encoded, and
    compared with what is kept. What lacks is made, pooled and rounded in the same way.

    Any ``MultiVectorEncoder`` of sentence-transformers loads: ColBERT's and PyLate's models,
    ColPali, ColQwen and their kin, and a ``Router`` of a text tower and an image tower.

    Args:
        name: As of `LocalReranker`, as all but the last.
        directory: Likewise.
        device: Likewise.
        dtype: Likewise.
        batch_size: Likewise.
        image_side: Likewise.
        pool_factor: As of `Int8Form`, of vectors that are to be kept; ``None`` for that of the
            space's file, or 1.
    """

    def __init__(
        self,
        name: str,
        directory: Path,
        *,
        device: str | None = None,
        dtype: str = "float32",
        batch_size: int = 16,
        image_side: int = 1024,
        pool_factor: int | None = None,
    ) -> None:
        super().__init__(
            name,
            directory,
            device=device,
            dtype=dtype,
            batch_size=batch_size,
            image_side=image_side,
        )
        if pool_factor is not None:
            check_pool_factor(pool_factor)
        self._pool_factor = pool_factor

    def _settings(self) -> dict[str, Any]:
        return super()._settings() | {"pool_factor": self._pool_factor}

    @property
    def sees_images(self) -> bool:
        """See `LocalReranker.sees_images`."""
        return bool(self.model.supports("image"))

    @property
    def keeps_images(self) -> bool:
        """See `TokenReranker.keeps_images`."""
        return self.sees_images

    @lazy_property
    def fingerprint(self) -> str:
        """Hex digest of what decides a record's vectors; models of any ``dtype`` share it."""
        try:
            model = fingerprint_model(self.directory)
        except EncoderError as error:
            raise RerankerError(f"the reranker {self._name!r}: {error}") from error
        told = f"late interaction {_VERSION} {model} {self._image_side}"
        return hashlib.sha256(told.encode()).hexdigest()

    def _load(self) -> Any:
        from sentence_transformers import MultiVectorEncoder

        model = self._from_files(MultiVectorEncoder, _outputs)
        for module in model.modules():
            if hasattr(module, "auto_model"):
                module.register_forward_hook(_every_place)
        return model

    @lazy_property
    def _special(self) -> re.Pattern[str]:
        return matching(special_tokens(self.model))

    def _side(self, text: str | None, picture: Image.Image | None = None) -> Side:
        return (None if text is None else spelled_out(text, self._special)), picture

    def _asked(self, side: Side) -> _Asked:
        (parts,) = self._vectors([side], "query")
        return _Asked(np.concatenate(parts))

    def _scores(self, query: _Asked, sides: Sequence[Side]) -> ArrayLike:
        made = self._vectors(sides, "document")
        if query.form is None:
            return self._compared(query, made)
        return self._compared(query, [list(map(query.form.formed, parts)) for parts in made])

    def _compared(
        self, query: _Asked, documents: Sequence[Sequence[Vectors]]
    ) -> NDArray[np.float32]:
        scores = max_sim(query.vectors, documents)
        if self.model.similarity_fn_name == "meanmaxsim":
            scores /= max(len(query.vectors), 1)
        return scores

    def _vectors(
        self, sides: Sequence[Side], task: Literal["query", "document"]
    ) -> list[list[NDArray[np.float32]]]:
        """Each side's ``(t, w)`` token vectors: a picture's, and those of its text."""
        parts: list[list[NDArray[np.float32]]] = [[] for _ in sides]
        encode = self.model.encode_query if task == "query" else self.model.encode_document
        for modality, place in (("image", 1), ("text", 0)):
            given = [n for n, side in enumerate(sides) if side[place] is not None]
            if given:
                inputs = [{modality: sides[n][place]} for n in given]
                found = encode(inputs, batch_size=len(inputs), show_progress_bar=False)
                for n, vectors in zip(given, found, strict=True):
                    parts[n].append(vectors.float().cpu().numpy())
        return parts

    def load(self) -> None:
        """See `TokenReranker.load`."""
        _ = self.model

    def prepare_image(self, image: ImageSource) -> Image.Image:
        """See `TokenReranker.prepare_image`."""
        return self._open(ImageRef.of(image))

    def tokens_of_prepared(self, images: Sequence[Image.Image]) -> list[NDArray[np.float32]]:
        """See `TokenReranker.tokens_of_prepared`; ``(t, w)`` float32 each."""
        return self._made([(None, image) for image in images])

    def text_key(self, text: str | None) -> str | None:
        """See `TokenReranker.text_key`: a digest of the text."""
        if not text or not text.strip():
            return None
        return TEXT + hashlib.sha256(text.encode()).hexdigest()

    def tokens_of_texts(self, texts: Sequence[str]) -> list[NDArray[np.float32]]:
        """See `TokenReranker.tokens_of_texts`; ``(t, w)`` float32 each."""
        order = sorted(range(len(texts)), key=lambda place: len(texts[place]))  # little padding
        made = self._made([self._side(texts[place]) for place in order])
        return [
            vectors for _, vectors in sorted(zip(order, made, strict=True), key=lambda it: it[0])
        ]

    def _made(self, sides: Sequence[Side]) -> list[NDArray[np.float32]]:
        made: list[NDArray[np.float32]] = []
        for batch in self._batches(list(range(len(sides)))):
            part = [sides[place] for place in batch]
            found = self._guarded(partial(self._vectors, part, "document"))
            made += [vectors for (vectors,) in found]
        return made

    def tokens_in(self, directory: Path) -> TokenStore[Int8Vectors]:
        """See `TokenReranker.tokens_in`; pooled as was asked for, or else as the file is."""
        factor = self._pool_factor or _kept_factor(directory, self.fingerprint) or 1
        return TokenStore(directory, self.fingerprint, Int8Form(factor))

    def score_in(
        self,
        directory: Path,
        text: str | None,
        image: ImageRef | None,
        records: Sequence[Record],
    ) -> NDArray[np.float32]:
        """See `TokenReranker.score_in`.

        A space that has no file of this model's vectors is judged by whole vectors, as by `score`.
        """
        factor = _kept_factor(directory, self.fingerprint)
        if factor is None:
            return self.score(text, image, records)
        form = Int8Form(factor)
        query, by_picture, by_text = self._query(text, image)
        query = replace(query, form=form)
        width = query.vectors.shape[1]
        wanted = [self._keys(record, by_picture, by_text) for record in records]
        read = TokenStore(directory, self.fingerprint, form).read(
            {key for keys in wanted for key in keys if key is not None}
        )
        kept = {key: vectors for key, vectors in read.items() if vectors.width == width}
        known = [p for p, keys in enumerate(wanted) if keys and all(key in kept for key in keys)]
        scores = np.full(len(records), np.nan, np.float32)
        documents = [[kept[str(key)] for key in wanted[place]] for place in known]
        scores[known] = self._compared(query, documents)
        there = set(known)
        left = [place for place, keys in enumerate(wanted) if keys and place not in there]
        scores[left], failures = self._judged(
            query, [records[place] for place in left], by_picture, by_text
        )
        if failures and np.isnan(scores).all():
            raise failures[-1]
        return scores

    def _keys(self, record: Record, by_picture: bool, by_text: bool) -> list[str | None]:
        """By what a record's parts are found; ``None`` for a part that cannot be."""
        keys: list[str | None] = []
        if by_picture and record.image is not None:
            keys.append(record.image.sha256)
        if by_text and (words := words_of(record)):
            keys.append(self.text_key(words))
        return keys


def _kept_factor(directory: Path, fingerprint: str) -> int | None:
    """By what vectors in a space are pooled; ``None`` if it keeps none of this model's."""
    found = form_number(token_path(directory, fingerprint))
    return found if found is not None and 1 <= found <= 1000 else None


def _every_place(module: Any, arguments: Any, features: dict[str, Tensor]) -> None:
    """Say that every place of a picture is a token, where an image tower says nothing of it.

    ``MultiVectorEncoder`` takes the vectors that a mask names; a vision Transformer or a
    convolutional network, whose pictures are of one size, has none.
    """
    import torch

    del module, arguments
    vectors = features.get("token_embeddings")
    if vectors is not None and "attention_mask" not in features:
        features["attention_mask"] = torch.ones(vectors.shape[:2], device=vectors.device).long()


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
