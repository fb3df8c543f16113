"""`ImageQuery`: a picture to search with, and words that go with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

from langchain_core.messages import BaseMessage

from langchain_unisem.chat_images import (
    image_of_block,
    image_of_data_url,
    images_in,
    is_data_url,
    words_in,
)
from unisem.images.reference import ImageRef, ImageSource


class ImageQuery:
    """What a retriever or a chain is given to search with a picture.

    It has a type of its own because a string is always text: no path or URL in a string that a
    user typed or a model wrote is ever opened. It is no dataclass because tracers write out the
    fields of dataclasses, and a picture's bytes do not belong in a trace.

    Attributes:
        image: The picture.
        text: Words to search with as well, or the question that is asked about the picture.

    >>> ImageQuery("tiger.jpg", text="but white")
    ImageQuery('tiger.jpg', text='but white')
    """

    __slots__ = ("image", "text")

    image: ImageRef
    text: str | None

    def __init__(self, image: ImageSource | Mapping[str, Any], text: str | None = None) -> None:
        """Keep a reference; a path is not opened yet.

        Args:
            image: A path, bytes or a Pillow picture; a ``data:`` URL; or a content block of a
                chat message, in LangChain's format or a provider's.
            text: As the attribute.

        Raises:
            ImageError: ``image`` is a URL of something else, which nobody fetches, or of a type
                that is no picture.
            TypeError: ``text`` is no string.
        """
        if text is not None and not isinstance(text, str):
            raise TypeError(f"text must be a string, not {type(text).__name__}")
        if isinstance(image, Mapping):
            self.image = image_of_block(image)
        elif isinstance(image, str) and is_data_url(image):
            self.image = image_of_data_url(image)
        else:
            self.image = ImageRef.of(image)
        self.text = text

    @classmethod
    def from_message(cls, message: BaseMessage | Mapping[str, Any] | Sequence[Any]) -> Self:
        """Return the picture and the words of one message, as it comes from a chat.

        Args:
            message: A `HumanMessage`, a dictionary with ``role`` and ``content``, or the content:
                a list of blocks.

        Raises:
            ImageError: Its picture is damaged, or a URL, which nobody fetches.
            ValueError: It has no picture, or several.
        """
        match message:
            case BaseMessage():
                content: object = message.content
            case Mapping() if "content" in message:
                content = message["content"]
            case _:
                content = message
        blocks = images_in(content)
        if len(blocks) != 1:
            raise ValueError(
                f"a query has one picture, and this message {len(blocks) or 'none'}; search with "
                "its text, or with ImageQuery(block, text) for the block that you choose"
            )
        return cls(blocks[0], words_in(content) or None)

    def __repr__(self) -> str:
        words = "" if self.text is None else f", text={self.text!r}"
        return f"ImageQuery({self.image.name!r}{words})"


def text_of(query: str | ImageQuery) -> str:
    """The words of a query, ``""`` for a picture without any.

    Raises:
        TypeError: It is neither text nor `ImageQuery`.
    """
    match query:
        case str():
            return query
        case ImageQuery():
            return query.text or ""
    raise TypeError(
        f"a query is a string, or an ImageQuery for a picture, not {type(query).__name__}"
    )


def image_of(query: str | ImageQuery) -> ImageRef | None:
    """The picture of a query, if it has one."""
    return query.image if isinstance(query, ImageQuery) else None
