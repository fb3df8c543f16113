"""`UniSemEmbedding`: an encoder of texts and pictures as a LlamaIndex embedding."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from llama_index.core.base.embeddings.base import Embedding
from llama_index.core.bridge.pydantic import (
    Field,
    PrivateAttr,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    model_serializer,
)
from llama_index.core.callbacks.base import CallbackManager
from llama_index.core.embeddings.multi_modal_base import MultiModalEmbedding
from llama_index.core.instrumentation import (  # type: ignore[attr-defined]
    DISPATCHER_SPAN_DECORATED_ATTR,
)
from llama_index.core.schema import BaseNode
from llama_index.core.storage.kvstore.types import BaseKVStore
from llama_index.core.utils import get_tqdm_iterable

from llama_index_unisem.embeddings.cache import RoleCache, caching_queries
from llama_index_unisem.embeddings.node_vectors import NodePlan
from llama_index_unisem.events import embedding_events
from unisem.common.threads import InThread
from unisem.encoders import Encoder, EncoderOptions, load_encoder
from unisem.encoders.base import Role
from unisem.encoders.options import Attention, Dtype
from unisem.errors import EncoderMismatchError
from unisem.images.reference import ImageRef, ImageSource, sources_as_list
from unisem.search.composition import mean_of

if TYPE_CHECKING:
    from llama_index.core.rate_limiter import BaseRateLimiter

Picture = ImageSource | BytesIO
"""A path, bytes, a ``BytesIO`` (all of it, wherever it stands), a Pillow picture, an `ImageRef`."""


class UniSemEmbedding(MultiModalEmbedding):
    """Texts, queries and pictures to unit vectors of one space.

    A string given as text or query is text, whatever it looks like. Pictures are paths, bytes,
    ``BytesIO`` or Pillow pictures. As a transformation (``IngestionPipeline``) it embeds a node
    that has a picture by its picture; see `NodePlan`. Async twins work in a thread.

    >>> from llama_index_unisem import UniSemEmbedding
    >>> embedding = UniSemEmbedding(model_name="mini")
    >>> len(embedding.get_text_embedding("a tiger")) == embedding.encoder.dimension
    True
    """

    device: str | None = Field(default=None, description="Where a model that was named computes.")
    dtype: Dtype = Field(default="float32", description="In which precision it computes.")
    dimension: int | None = Field(default=None, description="Numbers of a vector that are kept.")
    query_instruction: str | None = Field(default=None, description="What goes before a query.")
    document_instruction: str | None = Field(default=None, description="Before any other text.")
    max_pixels: int | None = Field(default=None, description="Pixels of a picture, at most.")
    attention: Attention | None = Field(default=None, description="How it computes attention.")
    _encoder: Encoder | None = PrivateAttr()
    _named: bool = PrivateAttr()

    def __init__(
        self,
        model_name: str | None = None,
        *,
        encoder: Encoder | None = None,
        device: str | None = None,
        dtype: Dtype = "float32",
        dimension: int | None = None,
        query_instruction: str | None = None,
        document_instruction: str | None = None,
        max_pixels: int | None = None,
        attention: Attention | None = None,
        embed_batch_size: int = 32,
        callback_manager: CallbackManager | None = None,
        num_workers: int | None = None,
        embeddings_cache: BaseKVStore | None = None,
        rate_limiter: BaseRateLimiter | None = None,
        fingerprint: str | None = None,
    ) -> None:
        """Find the model; its weights are loaded at the first embedding.

        Args:
            model_name: ``"mini"`` (the default), a directory or a hub id; see `load_encoder`.
            encoder: An encoder, instead of a name.
            device: As the field.
            dtype: As the field.
            dimension: How many numbers of a vector are kept; see `load_encoder`, also for the
                next four.
            query_instruction: As the field.
            document_instruction: As the field.
            max_pixels: As the field.
            attention: As the field.
            embed_batch_size: Inputs that go through the model at once.
            callback_manager: As in every LlamaIndex component.
            num_workers: As in every LlamaIndex embedding.
            embeddings_cache: Keeps the vectors of texts and queries, apart from each other and
                from other models'.
            rate_limiter: As in every LlamaIndex embedding.
            fingerprint: What the encoder's fingerprint must be; `from_dict` passes the saved one.

        Raises:
            EncoderError: No such model.
            EncoderMismatchError: The model's fingerprint is another one.
            ValueError: A name and an encoder of another name, or loaded with other options.
        """
        options = EncoderOptions(
            dtype=dtype,
            dimension=dimension,
            query_instruction=query_instruction,
            document_instruction=document_instruction,
            max_pixels=max_pixels,
            attention=attention,
        )
        if encoder is None:
            found = load_encoder(model_name or "mini", device=device, **options.given)
        elif not isinstance(encoder, Encoder):
            raise TypeError(f"encoder must be a unisem.Encoder, not {type(encoder).__name__}")
        elif model_name not in (None, encoder.name):
            raise ValueError(
                f"model_name={model_name!r} and encoder={encoder.name!r} differ; give one of them"
            )
        else:
            found = load_encoder(encoder, **options.given)
        if fingerprint is not None and fingerprint != found.fingerprint:
            raise EncoderMismatchError(
                f"the encoder {found.name!r} has the fingerprint {found.fingerprint[:12]}, and "
                f"{fingerprint[:12]} was saved; their vectors cannot be compared"
            )
        if embeddings_cache is not None and isinstance(embeddings_cache, BaseKVStore):
            embeddings_cache = RoleCache(embeddings_cache, found.fingerprint)
        super().__init__(
            model_name=found.name,
            embed_batch_size=embed_batch_size,
            callback_manager=callback_manager or CallbackManager([]),
            num_workers=num_workers,
            embeddings_cache=embeddings_cache,
            rate_limiter=rate_limiter,
        )
        self.device = device
        for name, value in asdict(found.options).items():
            setattr(self, name, value)
        self._encoder = found
        self._named = encoder is None

    @classmethod
    def class_name(cls) -> str:
        """The name under which LlamaIndex serialises this class."""
        return "UniSemEmbedding"

    @property
    def encoder(self) -> Encoder:
        """What embeds."""
        assert self._encoder is not None
        return self._encoder

    # -- texts ---------------------------------------------------------------------------------

    def _texts(self, texts: Sequence[str], role: Role) -> list[Embedding]:
        rows = self.encoder.encode_texts(list(texts), role, batch_size=self.embed_batch_size)
        vectors: list[Embedding] = rows.tolist()
        return vectors

    def _get_text_embedding(self, text: str) -> Embedding:
        return self._texts([text], "document")[0]

    def _get_text_embeddings(self, texts: list[str]) -> list[Embedding]:
        return self._texts(texts, "document")

    def _get_query_embedding(self, query: str) -> Embedding:
        return self._texts([query], "query")[0]

    _aget_text_embedding = InThread(_get_text_embedding).twin
    _aget_text_embeddings = InThread(_get_text_embeddings).twin
    _aget_query_embedding = InThread(_get_query_embedding).twin

    def get_query_embedding(self, query: str) -> Embedding:
        """Embed a query, as written."""
        with caching_queries():
            return super().get_query_embedding(query)

    async def aget_query_embedding(self, query: str) -> Embedding:
        """Embed a query, as written."""
        with caching_queries():
            return await super().aget_query_embedding(query)

    # The base's methods open the span; without this mark LlamaIndex would open a second one.
    for _method in (get_query_embedding, aget_query_embedding):
        setattr(_method, DISPATCHER_SPAN_DECORATED_ATTR, True)

    def get_agg_embedding_from_queries(
        self, queries: list[str], agg_fn: Callable[..., Embedding] | None = None
    ) -> Embedding:
        """Embed several queries as one: their mean, scaled back to unit length by default."""
        return super().get_agg_embedding_from_queries(queries, agg_fn or _unit_mean)

    async def aget_agg_embedding_from_queries(
        self, queries: list[str], agg_fn: Callable[..., Embedding] | None = None
    ) -> Embedding:
        """Embed several queries as one: their mean, scaled back to unit length by default."""
        return await super().aget_agg_embedding_from_queries(queries, agg_fn or _unit_mean)

    # -- pictures ------------------------------------------------------------------------------

    def _get_image_embeddings(self, img_file_paths: Sequence[Picture]) -> list[Embedding]:
        images = _image_refs(img_file_paths)
        vectors: list[Embedding] = self.encoder.encode_images(
            images, batch_size=self.embed_batch_size
        ).tolist()
        return vectors

    def _get_image_embedding(self, img_file_path: Picture) -> Embedding:
        return self._get_image_embeddings([img_file_path])[0]

    _aget_image_embeddings = InThread(_get_image_embeddings).twin
    _aget_image_embedding = InThread(_get_image_embedding).twin

    def get_image_embedding(self, img_file_path: Picture) -> Embedding:
        """Embed a picture: a path, bytes, ``BytesIO`` or a Pillow picture.

        Raises:
            ImageError: A URL, or a picture that cannot be read.
        """
        return self.get_image_embedding_batch([_image_ref(img_file_path)])[0]

    async def aget_image_embedding(self, img_file_path: Picture) -> Embedding:
        """Embed a picture, as `get_image_embedding`."""
        return (await self.aget_image_embedding_batch([_image_ref(img_file_path)]))[0]

    def get_image_embedding_batch(
        self, img_file_paths: Sequence[Picture], show_progress: bool = False
    ) -> list[Embedding]:
        """Embed pictures, ``embed_batch_size`` at a time.

        Raises:
            ImageError: Names the first picture that cannot be used.
        """
        embeddings: list[Embedding] = []
        for batch in self._batches(img_file_paths, show_progress):
            with embedding_events(self, [_event_name(image) for image in batch]) as found:
                if self.rate_limiter is not None:
                    self.rate_limiter.acquire()
                found += self._get_image_embeddings(batch)
            embeddings += found
        return embeddings

    async def aget_image_embedding_batch(
        self, img_file_paths: Sequence[Picture], show_progress: bool = False
    ) -> list[Embedding]:
        """Embed pictures, as `get_image_embedding_batch`."""
        embeddings: list[Embedding] = []
        for batch in self._batches(img_file_paths, show_progress):
            with embedding_events(self, [_event_name(image) for image in batch]) as found:
                if self.rate_limiter is not None:
                    await self.rate_limiter.async_acquire()
                found += await self._aget_image_embeddings(batch)
            embeddings += found
        return embeddings

    def _batches(self, sources: Iterable[Picture], show_progress: bool) -> Iterator[list[ImageRef]]:
        images = _image_refs(sources)
        starts = range(0, len(images), self.embed_batch_size)
        for start in get_tqdm_iterable(starts, show_progress, "Generating image embeddings"):
            yield images[start : start + self.embed_batch_size]

    # -- nodes ---------------------------------------------------------------------------------

    def __call__(self, nodes: Sequence[BaseNode], **kwargs: Any) -> Sequence[BaseNode]:
        """Give nodes their vectors, in place; see `NodePlan`.

        Args:
            nodes: The nodes.
            **kwargs: ``show_progress``; others go to `get_text_embedding_batch`.

        Raises:
            ImageError: Names the first picture that cannot be used.
        """
        plan = NodePlan(nodes)
        show_progress = bool(kwargs.get("show_progress"))
        images = self.get_image_embedding_batch(plan.images, show_progress)
        plan.keep(images, self.get_text_embedding_batch(plan.texts, **kwargs))
        return nodes

    async def acall(self, nodes: Sequence[BaseNode], **kwargs: Any) -> Sequence[BaseNode]:
        """Give nodes their vectors, in place, as a plain call does."""
        plan = NodePlan(nodes)
        show_progress = bool(kwargs.get("show_progress"))
        images = await self.aget_image_embedding_batch(plan.images, show_progress)
        plan.keep(images, await self.aget_text_embedding_batch(plan.texts, **kwargs))
        return nodes

    # -- serialisation -------------------------------------------------------------------------

    @model_serializer(mode="wrap")
    def custom_model_dump(
        self, handler: SerializerFunctionWrapHandler, info: SerializationInfo
    ) -> dict[str, Any]:
        """The fields, and the encoder's fingerprint, which tells pipeline caches models apart."""
        data = super().custom_model_dump(handler, info)
        return {**data, "fingerprint": self.encoder.fingerprint}

    def __getstate__(self) -> dict[str, Any]:
        if self._named and self._encoder is not None:  # found again by name; weights stay behind
            bare = self.model_copy()
            bare._encoder = None
            return bare.__getstate__()
        return super().__getstate__()

    def __setstate__(self, state: dict[str, Any]) -> None:
        private = state.get("__pydantic_private__") or {}
        self.__init__(encoder=private.get("_encoder"), **state["__dict__"])  # type: ignore[misc]

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> UniSemEmbedding:
        memo = {} if memo is None else memo
        memo[id(self._encoder)] = self._encoder  # immutable, large, and full of locks
        return super().__deepcopy__(memo)


def _unit_mean(embeddings: Sequence[Embedding]) -> Embedding:
    """Average vectors at length 1, which LlamaIndex's does not."""
    if not embeddings:
        raise ValueError("there is no query to embed")
    mean: Embedding = mean_of([np.asarray(vector, np.float32) for vector in embeddings]).tolist()
    return mean


def _image_ref(source: Picture) -> ImageRef:
    """Refer to a picture.

    Raises:
        ImageError: A URL, or no picture at all.
    """
    return ImageRef.of(source.getvalue() if isinstance(source, BytesIO) else source)


def _image_refs(sources: Iterable[Picture]) -> list[ImageRef]:
    """Refer to several pictures.

    Raises:
        ImageError: A URL, or no picture at all.
        TypeError: One picture instead of a list.
    """
    if isinstance(sources, BytesIO):
        raise TypeError("pass a list of pictures, for example [picture]")
    return [_image_ref(source) for source in sources_as_list(sources)]


def _event_name(image: ImageRef) -> str:
    """A picture's path, what a service calls it, or the digest of its bytes."""
    if image.path is not None:
        return str(image.path)
    if image.elsewhere is not None:
        return image.name
    return f"sha256:{hashlib.sha256(image.data or b'').hexdigest()}"
