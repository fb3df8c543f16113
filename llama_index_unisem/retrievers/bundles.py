"""`ImageQueryBundle`, a query that brings its picture in any form, and what a query asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from llama_index.core.schema import QueryBundle, QueryType

from unisem.calibration import QueryKind
from unisem.images.reference import ImageRef, ImageSource
from unisem.search.composition import mean_of
from unisem.search.query import Query

if TYPE_CHECKING:
    from unisem.space import SemanticSpace


class ImageQueryBundle(QueryBundle):
    """A query with a picture that is no path: bytes, a Pillow picture, an `ImageRef`.

    It goes wherever a ``QueryBundle`` goes. The picture is no field of it, so that events and
    traces, which write out fields, hold no pixels.

    Attributes:
        image: The picture.

    >>> ImageQueryBundle("in blue", image="tiger.jpg").image.name
    'tiger.jpg'
    """

    image: ImageRef

    def __init__(
        self,
        query_str: str = "",
        *,
        image: ImageSource,
        custom_embedding_strs: Sequence[str] | None = None,
    ) -> None:
        """Keep a reference; a path is not opened yet.

        Args:
            query_str: Words to search with as well.
            image: A path, bytes, a Pillow picture or an `ImageRef`.
            custom_embedding_strs: As in ``QueryBundle``.

        Raises:
            ImageError: ``image`` is a URL or of a type that is no picture.
        """
        strings = None if custom_embedding_strs is None else list(custom_embedding_strs)
        super().__init__(query_str, custom_embedding_strs=strings)
        self.image = ImageRef.of(image)


def image_of(bundle: QueryBundle) -> ImageSource | None:
    """The picture of a query, if it has one."""
    if isinstance(bundle, ImageQueryBundle):
        return bundle.image
    return bundle.image_path or None


def judged(bundle: QueryBundle) -> tuple[str | None, ImageSource | None]:
    """What a reranker looks at: the question as it was asked, whatever is embedded for it.

    Raises:
        ValueError: There is neither text nor picture.
    """
    text, image = bundle.query_str or None, image_of(bundle)
    if text is None and image is None:
        raise ValueError(
            "the query has an embedding only, and a reranker looks at its query_str or picture"
        )
    return text, image


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
    settings = replace(settings, vector_kind=kind_of(bundle, settings.text_weight))
    if settings.reranker is not None:
        words, image = judged(bundle)
        return replace(settings, text=words, image=image, vector=vector)
    return replace(settings, text=words if settings.mode == "hybrid" else None, vector=vector)


def kind_of(bundle: QueryBundle, text_weight: float) -> QueryKind:
    """What a bundle's vector is made of."""
    image, texts = image_of(bundle), bundle.embedding_strs
    if image is None or not texts:
        return "text" if image is None else "image"
    return Query(text=texts[0], image=image, text_weight=text_weight).kind


def words_only(query: QueryType) -> QueryBundle:
    """The query without its picture."""
    if isinstance(query, str):
        return QueryBundle(query)
    if isinstance(query, ImageQueryBundle):
        return QueryBundle(query.query_str, custom_embedding_strs=query.custom_embedding_strs)
    return replace(query, image_path=None)


def image_only(query: QueryType) -> QueryBundle:
    """The query without its words; a string is a picture's path."""
    if isinstance(query, str):
        return QueryBundle("", image_path=query)
    if isinstance(query, ImageQueryBundle):
        return ImageQueryBundle(image=query.image)
    return replace(query, query_str="", custom_embedding_strs=None)
