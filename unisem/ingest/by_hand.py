"""What a person has added to a file's record, told from what the file says.

The payload of a record that was read from a file names the metadata that come from there, as far as
they are not those of every file. So a column that a table has lost goes, and what somebody has
added stays, whatever becomes of the file's name. Where nothing is named, as in a record that
somebody added, all of it may be a person's, and is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from unisem.captions import MARKS
from unisem.ingest.likeness import differ
from unisem.recognition.words import is_of_words
from unisem.records import Record

_SAID = "said_by_file"  # key of payloads
_ALWAYS = {"file_name", "width", "height", "recognized", *MARKS}


def noting_file(record: Record) -> Record:
    """A record as its file says it, which names what of its metadata comes from there.

    >>> noting_file(Record(id="a", text="x", metadata={"file_name": "a", "camera": "K"})).payload
    {'said_by_file': ['camera']}
    """
    said = sorted(record.metadata.keys() - _ALWAYS)
    return replace(record, payload={**record.payload, _SAID: said})


def is_newly_noted(old: Record, new: Record) -> bool:
    """Whether nothing but the note of what its file says is new in a record, which had none."""
    if _SAID in old.payload or _SAID not in new.payload:
        return False
    return not differ(old, replace(new, payload=without(new.payload, _SAID)))


def added_to(record: Record) -> dict[str, Any]:
    """The metadata of a stored record that no file has said."""
    said = record.payload.get(_SAID)
    known = _ALWAYS | (set(said) if isinstance(said, list) else set())
    return without(record.metadata, *known)


def with_added(record: Record, added: Mapping[str, Any]) -> Record:
    """A record with what somebody has added; where its file says something, that counts."""
    new = {key: value for key, value in added.items() if key not in record.metadata}
    return replace(record, metadata={**record.metadata, **new}) if new else record


def keeping_added(old: Record, new: Record) -> Record:
    """What replaces a record: with what somebody has added to it.

    Args:
        old: As it is stored.
        new: What its file says now.
    """
    if new.image is not None and old.image is not None:
        links = {
            name: to
            for name, to in old.links.items()
            if name not in new.links and not is_of_words(name)
        }
        if links:
            new = replace(new, links={**new.links, **links})
    return with_added(new, added_to(old))


def without(values: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Some values without those of these names."""
    return {key: value for key, value in values.items() if key not in names}
