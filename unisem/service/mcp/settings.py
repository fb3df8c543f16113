"""`McpSettings`: what an assistant may do, and how much of everything it gets."""

from __future__ import annotations

from dataclasses import dataclass

from unisem.images.for_models import ImageLimits

# Clients refuse results of more than a megabyte, in base64.
_THUMBNAILS = ImageLimits(side=512, bytes=500_000)
_PICTURES = ImageLimits(bytes=600_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class McpSettings:
    """What an assistant may do with a space, and how much of everything it gets.

    Attributes:
        about: What the collection holds and when to search it, for the model to read.
        fields: Metadata that a model is told and may filter by; ``None`` for all.
        writable: Whether there is a tool that adds records.
        images: Whether pictures are sent; else a model reads captions and sizes only.
        links: Whether results hold links to the original pictures.
        k: Results of a search that does not say how many.
        most_k: Results of a search at most.
        most_neighbors: Records before and after each result at most.
        thumbnails: How many pictures a search sends, how large.
        pictures: How large the picture is that `show` sends.
        passage: Characters of each text in a search's results; `show` gives more.
        text: Characters of a text at most.
        metadata: Characters of a record's metadata, as JSON, in a search's results.
        sent_bytes: Bytes that a picture of a call may have.
        original_bytes: Bytes that a picture may have that is read as a resource.
        sent_text: Characters that a text of a call may have.
        page: Records on a page of the list of resources.
        listed: Records that are listed at most; others are found by searching.
        threads: Calls that are worked on at one time.
        queue: Calls that wait for that; others are told to come again.
        seconds: How long a call may take.
    """

    about: str = ""
    fields: tuple[str, ...] | None = None
    writable: bool = False
    images: bool = True
    links: bool = True
    k: int = 5
    most_k: int = 20
    most_neighbors: int = 5
    thumbnails: ImageLimits = _THUMBNAILS
    pictures: ImageLimits = _PICTURES
    passage: int = 2_000
    text: int = 100_000
    metadata: int = 1_000
    sent_bytes: int = 8_000_000
    original_bytes: int = 16_000_000
    sent_text: int = 20_000
    page: int = 100
    listed: int = 1_000
    threads: int = 4
    queue: int = 64
    seconds: float = 60.0
