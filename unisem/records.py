"""`Record`: one retrievable thing, a text, a picture, or a picture with its caption."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from unisem.errors import RecordError
from unisem.images.reference import ImageRef, ImageSource

Modality = Literal["text", "image"]
VectorKind = Literal["text", "image", "both"]
"""What a vector was made of: a text, a picture, or a text and a picture read together (fused)."""
VECTOR_KINDS: tuple[VectorKind, ...] = ("text", "image", "both")
"""Every kind; its place here is its code in arrays."""
MAX_INTEGER_BITS = 1000
"""How large an integer among metadata may be: every double is larger, and Python prints it."""
MAX_DEPTH = 100
"""How deep lists and dictionaries among metadata may be nested."""


@dataclass(frozen=True, slots=True, kw_only=True, init=False)
class Record:
    """One retrievable thing.

    A record with a picture is of modality ``image``, whether or not it has a caption; any other
    is of modality ``text``. A captioned picture has two vectors, its picture's and its caption's,
    and a third for both together where the encoder has such; it is still one record and at most
    one hit.

    Attributes:
        id: Unique in a space; adding the same id again replaces the record.
        text: The text, or the picture's caption.
        image: The picture, by reference.
        metadata: JSON values under string keys, what filters look at.
        source_id: What the record was cut from (a file, a document); deletes and refreshes by it.
        links: Ids of neighbours by relation, for example ``{"previous": "a", "next": "c"}``.
        payload: JSON that an adapter needs to rebuild its own object; kept, never searched.

    >>> Record(id="a", text="a tiger", metadata={"year": 2024}).modality
    'text'
    """

    id: str
    text: str | None
    image: ImageRef | None
    metadata: Mapping[str, Any]
    source_id: str | None
    links: Mapping[str, str]
    payload: Mapping[str, Any]

    def __init__(
        self,
        *,
        id: str | None = None,
        text: str | None = None,
        image: ImageSource | None = None,
        metadata: Mapping[str, Any] | None = None,
        source_id: str | None = None,
        links: Mapping[str, str] | None = None,
        payload: Mapping[str, Any] | None = None,
    ) -> None:
        """Check and keep the parts; nothing is read from disk.

        Args:
            id: As the attribute; a random one if ``None``.
            text: As the attribute.
            image: A path, bytes, a Pillow picture or an `ImageRef`.
            metadata: As the attribute.
            source_id: As the attribute.
            links: As the attribute.
            payload: As the attribute.

        Raises:
            RecordError: Neither text nor picture, a bad id, or a value that is not JSON.
            ImageError: ``image`` is a URL or of a type that is no picture.
        """
        name = uuid4().hex if id is None else id
        is_empty = text is None and image is None
        is_plain = _is_name(name) and (source_id is None or _is_name(source_id))
        if is_empty or not is_plain or not (text is None or (type(text) is str and text.isascii())):
            _check_texts(name, text, source_id, is_empty)
        for relation, target in (links or {}).items():
            _check_text(relation, "links", name)
            _check_text(target, f"links[{relation!r}]", name)
        if not _is_plain(metadata):
            check_json(metadata, f"record {name!r}: metadata")
            _check_findable(metadata, f"record {name!r}: metadata")
        if not _is_plain(payload):
            check_json(payload, f"record {name!r}: payload")
        put = object.__setattr__
        put(self, "id", name)
        put(self, "text", text)
        put(self, "image", None if image is None else ImageRef.of(image))
        put(self, "metadata", dict(metadata or {}))
        put(self, "source_id", source_id)
        put(self, "links", dict(links or {}))
        put(self, "payload", dict(payload or {}))

    @classmethod
    def restored(cls, **parts: Any) -> Self:
        """Rebuild a record from parts that were checked when it was made; for stores."""
        record = object.__new__(cls)
        for name, value in parts.items():
            _PUT[name](record, value)
        return record

    @property
    def modality(self) -> Modality:
        """``"image"`` if there is a picture, else ``"text"``."""
        return "text" if self.image is None else "image"

    def with_image(self, image: ImageRef) -> Self:
        """Return the same record with its picture's reference replaced."""
        return self.restored(**(self._parts() | {"image": image}))

    def with_metadata(self, metadata: Mapping[str, Any]) -> Self:
        """Return the same record with its metadata replaced.

        Raises:
            RecordError: They are not JSON.
        """
        if not isinstance(metadata, Mapping):
            raise RecordError(
                f"record {self.id!r}: metadata must be a dictionary, not {type(metadata).__name__}"
            )
        return type(self)(**(self._parts() | {"metadata": metadata}))

    def _parts(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


_PUT = {name: vars(Record)[name].__set__ for name in Record.__dataclass_fields__}
"""Sets an attribute once, twice as fast as by its name; a large answer has very many records."""


def check_unicode(text: str, what: str) -> None:
    """Refuse lone surrogates, which neither a file nor a model can hold.

    Raises:
        RecordError: Says what holds one.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise RecordError(f"{what} is not valid Unicode ({error.reason})") from None


def _check_texts(name: str, text: str | None, source_id: str | None, is_empty: bool) -> None:
    _check_text(name, "id", name)
    if not name:
        raise RecordError("a record's id must not be empty")
    if is_empty:
        raise RecordError(f"record {name!r} has neither text nor image")
    if text is not None:
        _check_text(text, "text", name)
    if source_id is not None:
        _check_text(source_id, "source_id", name)
    for label, value in (("id", name), ("source_id", source_id)):
        _check_findable(value, f"record {name!r}: {label}")


def _check_text(value: object, label: str, record_id: object) -> None:
    if not isinstance(value, str):
        raise RecordError(
            f"record {record_id!r}: {label} must be a string, not {type(value).__name__}"
        )
    check_unicode(value, f"record {record_id!r}: {label}")


def _is_name(value: Any) -> bool:
    """Whether an id is as most are; asked before the checks, which say what is wrong with it."""
    return type(value) is str and value != "" and value.isascii() and "\0" not in value


def _is_plain(mapping: Any) -> bool:
    """Whether a dictionary has scalars only, as most, and is JSON in which all can be found.

    This is asked before the checks, which take longer, as they say where something is wrong.
    """
    if not mapping:
        return True
    if type(mapping) is not dict:
        return False
    for key, value in mapping.items():
        if type(key) is not str or not key.isascii() or "\0" in key:
            return False
        kind = type(value)
        if kind is str:
            if not value.isascii() or "\0" in value:
                return False
        elif kind is int:
            if not -(2**63) <= value < 2**63:
                return False
        elif kind is float:
            if not math.isfinite(value):
                return False
        elif kind is not bool and value is not None:
            return False
    return True


def _check_findable(value: object, where: str) -> None:
    """Refuse NUL in what is looked for: SQLite ends a string there, so it would find others."""
    match value:
        case str() if "\0" in value:
            raise RecordError(f"{where} holds a NUL character; replace it, it cannot be found by")
        case Mapping():
            for key, item in value.items():
                _check_findable(key, f"{where}: the key {key!r}")
                _check_findable(item, f"{where}[{key!r}]")
        case list() | tuple():
            for position, item in enumerate(value):
                _check_findable(item, f"{where}[{position}]")


def check_json(value: object, where: str, room: int = MAX_DEPTH) -> None:
    """Refuse what JSON would lose or change: other types, other keys, NaN, lone surrogates.

    And what not every reader of JSON can read back: endless integers, nesting without measure.
    """
    match value:
        case None | bool():
            return
        case int():
            if value.bit_length() > MAX_INTEGER_BITS:
                raise RecordError(
                    f"{where} is an integer of more than {MAX_INTEGER_BITS} bits; use a string"
                )
        case str():
            check_unicode(value, where)
        case float():
            if not math.isfinite(value):
                raise RecordError(f"{where} is {value}, which is not JSON; use None or a string")
        case Mapping() | list() | tuple() if not room:
            raise RecordError(f"{where[:200]}… is nested deeper than {MAX_DEPTH}; flatten it")
        case Mapping():
            for key, item in value.items():
                if not isinstance(key, str):
                    raise RecordError(f"{where} has the key {key!r}; keys must be strings")
                check_unicode(key, f"{where}: the key {key!r}")
                check_json(item, f"{where}[{key!r}]", room - 1)
        case list() | tuple():
            for position, item in enumerate(value):
                check_json(item, f"{where}[{position}]", room - 1)
        case _:
            raise RecordError(
                f"{where} is {type(value).__name__}, which is not JSON; "
                "convert it to a string, number, boolean, list or dictionary"
            )


Vector = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddedRecord:
    """A record with its vectors, ready to be stored.

    Attributes:
        record: The record; its picture, if any, has been inspected (digest and type are known).
        vectors: ``(d,)`` float32 unit vectors by what they were made from.
    """

    record: Record
    vectors: dict[VectorKind, Vector] = field(repr=False)
