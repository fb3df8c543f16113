"""`WordNet`: the nouns of a WordNet dictionary as a taxonomy.

A synset becomes an entity with its first word as its name, a hypernym its broader term, and the
whole that it is a part, a member or a substance of another relation. The format is `wndb(5WN)`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from unisem.errors import GraphError
from unisem.graph.sources.base import GraphSource, opened
from unisem.stores.graph import BROADER, Entity, Relation

_TYPES = {
    "@": BROADER,
    "@i": BROADER,
    "#p": "part_of",
    "#m": "member_of",
    "#s": "substance_of",
}
_LONGEST = 1 << 16  # bytes of a line; WordNet's longest has 13,000


@dataclass(frozen=True, slots=True)
class _Synset:
    """A line of ``data.noun``.

    Attributes:
        offset: Where the line begins, by which others point to it.
        words: What its things are called.
        pointers: Symbol and offset of each noun that it points to.
        gloss: What it means.
    """

    offset: str
    words: tuple[str, ...]
    pointers: tuple[tuple[str, str], ...]
    gloss: str


class WordNet(GraphSource):
    """The nouns in a directory of WordNet's dictionary files.

    Debian has it in ``wordnet-base``, in ``/usr/share/wordnet``. An entity's id is
    ``wordnet:n01503061``, and its properties have the ``gloss``. Nothing is downloaded.

    Args:
        directory: With ``data.noun`` and ``index.noun`` in it.
        senses: How many meanings a word may have: with 1 it names its commonest only ("mouse" the
            animal, not the computer's), with ``None`` each that WordNet knows.

    Raises:
        GraphError: Later, if a file is missing or broken; says in which line.
        ValueError: ``senses`` is no positive number.
    """

    def __init__(self, directory: str | os.PathLike[str], *, senses: int | None = None) -> None:
        if senses is not None and senses < 1:
            raise ValueError(f"senses must be at least 1, or None, not {senses!r}")
        self._directory = Path(directory)
        self._senses = senses

    def entities(self) -> Iterator[Entity]:
        """The synsets; one whose words all mean something else more often keeps its first."""
        common = self._common()
        for _, synset in self._synsets():
            spoken = [
                word
                for word in synset.words
                if common is None or synset.offset in common.get(word.casefold(), ())
            ]
            name = (spoken or list(synset.words))[0]
            aliases = tuple(word for word in dict.fromkeys(spoken) if word != name)
            yield Entity(
                _id(synset.offset),
                name if spoken else f"{name} ({synset.gloss[:60]})",
                aliases,
                "noun",
                {"gloss": synset.gloss},
            )

    def relations(self) -> Iterator[Relation]:
        """Broader terms, and wholes of parts."""
        for _, synset in self._synsets():
            for symbol, target in synset.pointers:
                yield Relation(_id(synset.offset), _TYPES[symbol], _id(target))

    def _synsets(self) -> Iterator[tuple[int, _Synset]]:
        for number, line in self._lines("data.noun"):
            try:
                yield number, _synset(line)
            except (ValueError, IndexError):
                raise GraphError(
                    f"{self._directory / 'data.noun'}:{number}: is no synset as WordNet writes it; "
                    "use the files of Debian's wordnet-base"
                ) from None

    def _common(self) -> dict[str, tuple[str, ...]] | None:
        """The offsets of each word's commonest meanings; ``None`` if all are wanted."""
        if self._senses is None:
            return None
        found: dict[str, tuple[str, ...]] = {}
        for number, line in self._lines("index.noun"):
            parts = line.split()
            try:
                count = int(parts[2])
                if count < 1 or len(parts) != 6 + int(parts[3]) + count:
                    raise ValueError
            except (ValueError, IndexError):
                raise GraphError(
                    f"{self._directory / 'index.noun'}:{number}: is no entry as WordNet writes it; "
                    "use the files of Debian's wordnet-base"
                ) from None
            found[_word(parts[0]).casefold()] = tuple(parts[-count:][: self._senses])
        return found

    def _lines(self, name: str) -> Iterator[tuple[int, str]]:
        """The lines of a file but for the licence above them, which is indented."""
        with opened(self._directory / name) as file:
            number = 0
            while line := file.readline(_LONGEST):
                number += 1
                if not line.startswith(b"  "):
                    yield number, line.decode("utf-8", "replace").rstrip("\n")


def _synset(line: str) -> _Synset:
    """Read ``offset file type count (word id)… count (symbol offset pos place)… | gloss``."""
    data, _, gloss = line.partition(" | ")
    parts = data.split()
    count = int(parts[3], 16)
    words = tuple(_word(parts[4 + 2 * place]) for place in range(count))
    start = 4 + 2 * count
    pointers = [
        (parts[place], parts[place + 1])
        for place in range(start + 1, start + 1 + 4 * int(parts[start]), 4)
        if parts[place + 2] == "n"
    ]
    known = tuple(one for one in pointers if one[0] in _TYPES)
    if not words or not all(offset.isdecimal() for offset in (parts[0], *dict(known).values())):
        raise ValueError
    return _Synset(parts[0], words, known, gloss.strip())


def _word(written: str) -> str:
    return written.replace("_", " ")


def _id(offset: str) -> str:
    return f"wordnet:n{offset}"
