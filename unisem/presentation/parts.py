"""What a model is shown as a sequence of parts: texts, and pictures beside them.

An adapter translates each part into a block of its framework, and decides nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from unisem.images.for_models import ImageLimits, ModelImage, image_for_model
from unisem.images.reference import ImageRef
from unisem.presentation.contents import Content, Item, byte_share, contents
from unisem.presentation.fence import RULES, fenced, quoted, result

_NOTHING = "The search found nothing."
Order = Literal["rank", "document"]
"""Best first, or as the records stand in their document."""
_ORDERS: dict[Order, str] = {
    "rank": f"Search results, best first. {RULES}",
    "document": f"Passages and pictures in the order of their document. {RULES}",
}
_ONE = f"What has this id. {RULES}"
_BY_ID = "Cite what you use by its id in brackets."
_BEFORE = "A picture belongs to the result before it."
_NUMBERED = (
    f"Search results, numbered. {RULES} "
    "A picture belongs to the number before it. Cite what you use by its number, like [1]."
)


@dataclass(frozen=True, slots=True)
class ShownImage:
    """A picture as it is sent.

    Attributes:
        image: The picture.
        item: What was retrieved; ``None`` for a picture of the question.
        limits: What it alone may amount to, for those who keep a reference and read it later.
    """

    image: ModelImage
    item: Item | None = None
    limits: ImageLimits | None = None


Part = str | ShownImage


def listed(
    items: Sequence[Item],
    limits: ImageLimits | None = None,
    *,
    by: Literal["id", "number"],
    order: Order = "rank",
) -> list[Part]:
    """Return a header, then each text or caption, then its picture.

    What is there twice is shown once, and so is a picture. The same items give the same parts, so
    that caches of prompts work.

    Args:
        items: What was found, in the order in which it is shown.
        limits: How many pictures, how large; `ImageLimits` by default.
        by: What the model is to cite by: the record's id, or ``[n]`` for ``items[n - 1]``.
        order: What the model is told of the order; by number it is told none.
    """
    if not items:
        return [_NOTHING]
    things: dict[object, int] = {}
    owners: dict[object, int] = {}
    chosen: list[Item] = []  # of equal things the first
    firsts: list[int] = []
    for n, item in enumerate(items):
        digest = item.image and (item.image.sha256 or item.image)
        first = things.setdefault((item.id, item.text, digest) if item.id else n, n)
        owner = owners.setdefault((item.id, digest) if item.id and digest else n, n)
        firsts.append(first)
        if first == n != owner:
            item = replace(item, omitted=f"is that of {_name(items, owner, by)}")
        if first == n:
            chosen.append(item)
    limits = limits or ImageLimits()
    alone = replace(limits, count=1, bytes=byte_share(chosen, limits))
    shown = contents(chosen, limits)
    parts: list[Part] = [_NUMBERED if by == "number" else f"{_ORDERS[order]} {_BEFORE} {_BY_ID}"]
    for n, first in enumerate(firsts):
        number = f"[{n + 1}] " if by == "number" else ""
        if first < n:
            parts.append(f"{number}(the same as {_name(items, first, by)})")
            continue
        content = next(shown)
        parts.append(number + _words(content, by))
        if content.image is not None:
            parts.append(ShownImage(content.image, content.item, alone))
    return parts


def worded(items: Sequence[Item], *, order: Order = "rank") -> str:
    """Return a header and each text or caption with its id, where no picture is shown.

    Args:
        items: What was found, in the order in which it is shown.
        order: What the model is told of the order.
    """
    if not items:
        return _NOTHING
    return "\n".join([f"{_ORDERS[order]} {_BY_ID}", *map(_described, items)])


def whole_worded(item: Item) -> str:
    """Return one thing that was asked for by its id, where its picture is not shown."""
    return f"{_ONE} {_BY_ID}\n{_described(item)}"


def whole(item: Item, limits: ImageLimits | None = None) -> list[Part]:
    """Return one thing that was asked for by its id, with its picture as it stands and on its page.

    Args:
        item: The thing.
        limits: How large a picture may be, or two together; `ImageLimits` by default.
    """
    limits = replace(limits or ImageLimits(), count=1, regions="alone")
    region = None if item.image is None else item.image.region
    is_part = region is not None and region.box is not None
    if is_part:  # there will be two
        limits = replace(limits, bytes=limits.bytes // 2)
    (content,) = contents([item], limits)
    page = None
    if content.image is not None and is_part:
        (on_page,) = contents([item], replace(limits, regions="on_page"))
        page = on_page.image
    where = "follows" if page is None else "follows, then its page with a frame around it"
    shown = [image for image in (content.image, page) if image is not None]
    images = [ShownImage(image, item, limits) for image in shown]
    return [f"{_ONE} {_BY_ID}", content.words(where), *images]


def apart(
    items: Sequence[Item], limits: ImageLimits | None = None
) -> tuple[list[ShownImage], list[str]]:
    """Return the pictures, and each text or caption, which says which picture above is its own."""
    pictures: list[ShownImage] = []
    texts: list[str] = []
    for content in contents(items, limits):
        if content.image is not None:
            pictures.append(ShownImage(content.image, content.item))
        texts.append(content.words(f"is number {len(pictures)} above"))
    return pictures, texts


def asked(text: str | None, image: ImageRef | None, limits: ImageLimits) -> list[Part]:
    """Return a question, and its picture if it has one.

    Raises:
        ImageError: The picture cannot be read.
    """
    words = f"Question: {fenced(text)}" if text else "Question:"
    if image is None:
        return [words]
    return [
        f"{words} (with this picture)",
        ShownImage(image_for_model(image, side=limits.side)),
    ]


def _described(item: Item) -> str:
    return result(
        item.text,
        id=item.id,
        picture=item.size,
        metadata=item.metadata,
        generated=item.generated,
    )


def _words(content: Content, by: Literal["id", "number"]) -> str:
    if by == "id":
        return content.words("follows")
    item = content.item
    if content.image is not None and not item.text and not item.metadata:
        return "(a picture without caption)"
    return content.words(cited=False)


def _name(items: Sequence[Item], place: int, by: Literal["id", "number"]) -> str:
    return f"[{place + 1}]" if by == "number" else f"{quoted(items[place].id)} above"
