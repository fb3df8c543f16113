"""`likeness`: what is asked when somebody wants more like a record."""

from __future__ import annotations

from unisem.images.reference import ImageRef
from unisem.records import Record
from unisem.search.query import Mode
from unisem.service.refusal import RefusedError


def likeness(record: Record, text: str | None, mode: Mode) -> tuple[str | None, ImageRef | None]:
    """The text and the picture of a query for more like a record.

    Args:
        record: The record: its picture is asked for, or else its text.
        text: What should be different about the picture.
        mode: By keyword there are no pictures.

    Raises:
        RefusedError: There is a text, and no picture that it could be about (422).
    """
    image = None if mode == "keyword" else record.image
    if image is not None:
        return text, image
    if text is not None:
        raise RefusedError(
            422,
            "like has no picture that a text could change something about",
            field="text",
            remedy="give like or text alone",
        )
    return record.text, None
