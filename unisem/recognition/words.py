"""How a picture, and the words that were read in it, know each other.

What was read is one or more records of text, so that it is found by keyword and by meaning, and the
picture's caption stays what it was. Their metadata are the picture's, and ``recognized`` is true.
The picture's links ``words``, ``words:2`` … lead to them, and their link ``image`` leads back. A
search that finds them gives the picture, see `unisem.search.searcher`.

The payload of the picture says which recogniser read it, and that of its words, of which picture
they are: the SHA-256 of its bytes. What does not belong together any more is known by that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from unisem.captions import MARKS
from unisem.records import Record

RECOGNIZED = "recognized"
"""The metadata's key that is true of what was read from pixels."""
MOST_PASSAGES = 100
"""Records of text that one picture gives."""

_READ_BY, _READ_IN = "words_read_by", "words_read_in"  # keys of payloads
_LINK, _BACK = "words", "image"
_OF_THE_PICTURE = {"label", "caption", *MARKS}  # metadata that say nothing of its words


def words_of(record: Record) -> list[str]:
    """The ids of what was read in a picture."""
    return [
        target for name, target in record.links.items() if is_of_words(name)
    ] if record.image is not None else []  # fmt: skip


def is_of_words(link: str) -> bool:
    """Whether a link of a picture leads to what was read in it."""
    return link.partition(":")[0] == _LINK


def is_read(picture: Record) -> bool:
    """Whether some recogniser has read this picture, whatever it found."""
    return picture.image is not None and _READ_BY in picture.payload


def still_words(picture: Record, words: Sequence[Record]) -> list[Record]:
    """Those of some words that were read in this picture as it is."""
    return [it for it in words if image_of(it) == picture.id and belong(it, picture)]


def words_again(
    picture: Record, old: Record, words: Sequence[Record]
) -> tuple[Record, list[Record]]:
    """As `with_words`, of a picture that has been read under another id.

    Args:
        picture: As it is called now.
        old: As it was called.
        words: What was read in it then.
    """
    return with_words(picture, [it.text or "" for it in words], old.payload[_READ_BY])


def image_of(record: Record) -> str | None:
    """The id of the picture that a record's words were read in; ``None`` for any other record."""
    return record.links.get(_BACK) if _READ_IN in record.payload else None


def belong(words: Record, picture: Record | None) -> bool:
    """Whether words were read in this picture as it is."""
    return (
        picture is not None
        and picture.image is not None
        and words.payload.get(_READ_IN) == picture.image.sha256
        and words.id in words_of(picture)
    )


def is_read_by(picture: Record, fingerprint: str) -> bool:
    """Whether a recogniser has read this picture, whatever it found."""
    return picture.payload.get(_READ_BY) == fingerprint


def with_words(
    picture: Record, passages: Sequence[str], fingerprint: str
) -> tuple[Record, list[Record]]:
    """A picture that knows what was read in it, and the records of that.

    Args:
        picture: Its picture inspected; what was read in it before is forgotten.
        passages: What was read, the first hundred of which are kept.
        fingerprint: Of the recogniser.
    """
    assert picture.image is not None
    kept = passages[:MOST_PASSAGES]
    ids = [f"{picture.id}#words-{number}" for number in range(1, len(kept) + 1)]
    links = {name: to for name, to in picture.links.items() if not is_of_words(name)}
    links |= {_LINK if number == 1 else f"{_LINK}:{number}": to for number, to in enumerate(ids, 1)}
    read = replace(picture, links=links, payload={**picture.payload, _READ_BY: fingerprint})
    words = []
    for place, text in enumerate(kept):
        around = {_BACK: picture.id}
        if place:
            around["previous"] = ids[place - 1]
        if place + 1 < len(ids):
            around["next"] = ids[place + 1]
        words.append(
            Record(
                id=ids[place],
                text=text,
                metadata=metadata_of_words(picture),
                source_id=picture.source_id,
                links=around,
                payload={_READ_IN: picture.image.sha256},
            )
        )
    return read, words


def metadata_of_words(picture: Record) -> dict[str, object]:
    """What the records of a picture's words say beside the words."""
    known = {key: value for key, value in picture.metadata.items() if key not in _OF_THE_PICTURE}
    return known | ({"kind": "text"} if "kind" in known else {}) | {RECOGNIZED: True}


def keeping_words(old: Record, new: Record) -> Record:
    """What replaces a record: knowing its words, if it is of the same picture.

    Args:
        old: As it is stored.
        new: What its file says now, its picture inspected.
    """
    if old.image is None or new.image is None or old.image.sha256 != new.image.sha256:
        return new
    if _READ_BY not in old.payload:
        return new
    links = {name: to for name, to in old.links.items() if is_of_words(name)}
    payload = {**new.payload, _READ_BY: old.payload[_READ_BY]}
    return replace(new, links={**new.links, **links}, payload=payload)
