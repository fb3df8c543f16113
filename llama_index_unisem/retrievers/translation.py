"""What a LlamaIndex query asks of a space."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from llama_index.core.schema import QueryBundle

from llama_index_unisem.retrievers.bundles import image_of
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
    kept = words if settings.mode == "hybrid" else None
    if bundle.embedding is not None:
        return replace(settings, text=kept, vector=bundle.embedding)
    texts = bundle.embedding_strs
    if not texts and image is None:
        raise ValueError(
            "the query is empty; a QueryBundle needs query_str, image_path or embedding"
        )
    if len(texts) < 2 and (kept is None or texts == [kept]):
        return replace(settings, text=texts[0] if texts else None, image=image)
    weight = settings.text_weight
    strings: list[str | None] = [*texts] if texts else [None]
    parts = [Query(text=text, image=image, text_weight=weight) for text in strings]
    vectors = [space.embed_query(part) for part in parts]
    return replace(settings, text=kept, vector=np.mean(vectors, axis=0))
