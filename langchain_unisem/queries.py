"""`ImageQuery`: a picture to search with, and words that go with it."""

from __future__ import annotations

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

    def __init__(self, image: ImageSource, text: str | None = None) -> None:
        """Keep a reference; a path is not opened yet.

        Args:
            image: A path, bytes or a Pillow picture.
            text: As the attribute.

        Raises:
            ImageError: ``image`` is a URL or of a type that is no picture.
            TypeError: ``text`` is no string.
        """
        if text is not None and not isinstance(text, str):
            raise TypeError(f"text must be a string, not {type(text).__name__}")
        self.image = ImageRef.of(image)
        self.text = text

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
