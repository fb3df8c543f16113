"""What a LlamaIndex query asks of a space."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from llama_index.core.schema import QueryBundle

from llama_index_unisem.retrievers.bundles import image_of, judged
from unisem.search.composition import mean_of
from unisem.search.query import Query

if TYPE_CHECKING:
    from unisem.space import SemanticSpace


def query_of(bundle: QueryBundle, settings: Query, space: SemanticSpace) -> Query:
    """Translate a bundle, which is left as it is.

    Args:
        bundle: Words, a picture, a ready vector, or several strings to embed.
        settings: Everything else; the text is a placeholder.
        space: Embeds where several strings become one vector.

    Raises:
        ValueError: The bundle is empty, or has no words and the mode looks for words.
    """
    image = image_of(bundle)
    words = bundle.query_str or None
    if settings.mode == "keyword":
        if words is None:
            raise ValueError('the query has no query_str, and mode "keyword" looks for words')
        return replace(settings, text=words, image=image)
    if words is None:
        settings = replace(settings, mode="vector")  # there are no words to look for
    texts = bundle.embedding_strs
    if bundle.embedding is None:
        if not texts and image is None:
            raise ValueError(
                "the query is empty; a QueryBundle needs query_str, image_path or embedding"
            )
        if texts == ([] if words is None else [words]):
            return replace(settings, text=words, image=image)
    vector: Any = bundle.embedding
    if vector is None:
        weight = settings.text_weight
        strings: list[str | None] = [*texts] if texts else [None]
        parts = [Query(text=text, image=image, text_weight=weight) for text in strings]
        vector = mean_of([space.embed_query(part) for part in parts])
    if settings.reranker is not None:
        words, image = judged(bundle)
        return replace(settings, text=words, image=image, vector=vector)
    return replace(settings, text=words if settings.mode == "hybrid" else None, vector=vector)
