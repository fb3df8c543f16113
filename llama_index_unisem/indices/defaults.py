"""What a `UniSemIndex` is put together from: storage, embedding, transformations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.callbacks.base import CallbackManager
from llama_index.core.embeddings.utils import EmbedType, resolve_embed_model
from llama_index.core.node_parser import NodeParser
from llama_index.core.schema import TransformComponent
from llama_index.core.settings import Settings
from llama_index.core.storage.storage_context import StorageContext
from llama_index.core.vector_stores.simple import DEFAULT_VECTOR_STORE, SimpleVectorStore

from llama_index_unisem.embeddings.embedding import UniSemEmbedding
from llama_index_unisem.transformations.texts_only import TextsOnly
from llama_index_unisem.vector_stores.store import UniSemVectorStore
from unisem.errors import EncoderMismatchError

if TYPE_CHECKING:
    from unisem import SemanticSpace


def storage_for(given: StorageContext | None, space: SemanticSpace | None) -> StorageContext:
    """Find the storage context, with a `UniSemVectorStore` in it.

    The empty ``SimpleVectorStore`` that LlamaIndex puts where no store was named is replaced.

    Raises:
        TypeError: It has another vector store.
        ValueError: A space, and a store that was chosen.
    """
    context = StorageContext.from_defaults() if given is None else given
    current = context.vector_stores.get(DEFAULT_VECTOR_STORE)
    if current is None or _is_nobodys_choice(current):
        store = UniSemVectorStore() if space is None else UniSemVectorStore(space=space)
        context.vector_stores[DEFAULT_VECTOR_STORE] = store
    elif not isinstance(current, UniSemVectorStore):
        raise TypeError(
            f"UniSemIndex keeps its nodes in a UniSemVectorStore, not in {type(current).__name__}; "
            "use StorageContext.from_defaults(vector_store=UniSemVectorStore(…)). The docs say how "
            "to move an index"
        )
    elif space is not None and current.space is not space:
        raise ValueError("give a space, or a storage_context with a vector store")
    return context


def embedding_for(
    given: EmbedType | None, store: UniSemVectorStore, callback_manager: CallbackManager | None
) -> BaseEmbedding:
    """Find the embedding; see `UniSemIndex`.

    Raises:
        EncoderMismatchError: It is not the encoder of the store's space.
    """
    space = store.space
    if given is None:
        if space is not None:
            return UniSemEmbedding(encoder=space.encoder, callback_manager=callback_manager)
        # The public property would look for OpenAI's where the program has set none.
        chosen: BaseEmbedding | None = Settings._embed_model
        return chosen or UniSemEmbedding(callback_manager=callback_manager)
    model = resolve_embed_model(given, callback_manager=callback_manager)
    if space is not None and isinstance(model, UniSemEmbedding):
        own, other = space.encoder, model.encoder
        if own.fingerprint != other.fingerprint:
            raise EncoderMismatchError(
                f"the space was built with the encoder {own.name!r} and the embedding's is "
                f"{other.name!r}; their vectors cannot be compared. Leave embed_model out"
            )
    return model


def leading_images_round(steps: Sequence[TransformComponent]) -> list[TransformComponent]:
    """Wrap splitters and other node parsers in `TextsOnly`."""
    return [TextsOnly(step) if isinstance(step, NodeParser) else step for step in steps]


def _is_nobodys_choice(store: object) -> bool:
    return isinstance(store, SimpleVectorStore) and not store.data.embedding_dict
