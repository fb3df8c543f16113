"""`RecordLinks`: what a space's records say of each other already, as a graph.

Sections of documents, figures that passages speak of, pages that link to pages, folders, and
fields of metadata are entities; the records in them mention them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any, Literal, get_args

from unisem.errors import GraphError
from unisem.graph.sources.base import GraphSource
from unisem.graph.sources.page_links import PageLink, page_of
from unisem.images.library import ImageLibrary
from unisem.readers.documents.elements import Source
from unisem.records import Record
from unisem.stores.base import Store
from unisem.stores.graph import Entity, Mention, Relation

LinkKind = Literal["section", "figure", "page", "folder"]
"""What may be made entities of."""
KINDS: tuple[LinkKind, ...] = get_args(LinkKind)
LINKS_TO, PART_OF = "links_to", "part_of"
"""Types of relations: a page or section to another, a part to its whole."""

_LONGEST = 400  # characters of an id that are kept as they are
_NUMBERING = re.compile(r"^(?:(?:chapter|section|appendix)\s+)?[\dA-Z]{1,3}(?:\.\d+)*\.?\s+", re.I)
_MOST_VALUES = 100  # of a metadata field of one record


class RecordLinks(GraphSource):
    """The links in a space, read from its records, and from the pages that they came from.

    * ``"section"``: each document and each of its sections, a section ``part_of`` the one above;
    * ``"figure"``: each figure and table that a passage speaks of, which both then mention;
    * ``"page"``: ``links_to`` between sections, from the links in HTML and Markdown files that are
      still where they were read, by headings as far as they are records' sections;
    * ``"folder"``: each folder that files lie in, ``part_of`` the one above.

    Args:
        store: The space's records: ``space.store``.
        library: Finds the files of pages: ``space.image_library``; without it, and for files
            outside its folders, pages have no links.
        kinds: Which of these.
        fields: Metadata fields, ``["author", "tags"]``; each value, or each of a list's, is an
            entity of the field's kind.

    Raises:
        GraphError: There is no such kind, or ``fields`` is a string.
    """

    def __init__(
        self,
        store: Store,
        library: ImageLibrary | None = None,
        *,
        kinds: Collection[LinkKind] = KINDS,
        fields: Sequence[str] = (),
    ) -> None:
        if unknown := sorted(set(kinds) - set(KINDS)):
            raise GraphError(f"kinds are {', '.join(KINDS)}, not {', '.join(map(repr, unknown))}")
        if isinstance(fields, str):
            raise GraphError(f"fields must be a list of names, for example [{fields!r}]")
        self._store = store
        self._library = library
        self._kinds = frozenset(kinds)
        self._fields = tuple(fields)

    def entities(self) -> Iterator[Entity]:
        """Each once."""
        seen: set[str] = set()
        for record in self._store.select():
            for entity, _ in self._about(record):
                for one in (entity, *self._wholes(record, entity)):
                    if one.id not in seen:
                        seen.add(one.id)
                        yield one

    def relations(self) -> Iterator[Relation]:
        """Parts and wholes, figures of sections, then links between pages; each once."""
        seen: set[Relation] = set()
        pages: dict[str, None] = {}
        sections: set[str] = set()
        for record in self._store.select():
            if record.source_id is not None and "section" in record.metadata:
                pages[record.source_id] = None
            for entity, _ in self._about(record):
                chain = (entity, *self._wholes(record, entity))
                sections.update(one.id for one in chain)
                for part, whole in pairwise(chain):
                    relation = Relation(part.id, PART_OF, whole.id)
                    if relation not in seen:
                        seen.add(relation)
                        yield relation
        if "page" in self._kinds:
            for relation in self._between(list(pages), sections):
                if relation not in seen:
                    seen.add(relation)
                    yield relation

    def mentions(self) -> Iterator[Mention]:
        """Records and what they are in, or speak of."""
        for record in self._store.select():
            for entity, weight in self._about(record):
                yield Mention(record.id, entity.id, weight)

    def _about(self, record: Record) -> Iterator[tuple[Entity, float]]:
        """What a record itself mentions; what these are parts of is `_wholes`."""
        if self._kinds & {"section", "page"} and _is_of_document(record):
            yield _section(record, str(record.metadata.get("section") or "")), 1.0
        elif "folder" in self._kinds and (folder := _folder_of(record)):
            yield _folder(folder), 1.0
        if "figure" in self._kinds:
            if any(relation.startswith("mentioned_by") for relation in record.links):
                yield _figure(record), 1.0
            for relation, target in record.links.items():
                if relation.partition(":")[0] == "figure":
                    figure = self._store.get([target])[0]
                    if figure is not None:
                        yield _figure(figure), 1.0
        for name in self._fields:
            for value in _values(record.metadata.get(name))[:_MOST_VALUES]:
                yield Entity(_id(name, value), value[:_LONGEST], kind=name), 1.0

    def _wholes(self, record: Record, entity: Entity) -> Iterator[Entity]:
        """What an entity is part of, the nearest first."""
        if entity.kind == "section":
            path = str(record.metadata.get("section") or "").split(" > ")
            for length in range(len(path) - 1, 0, -1):
                yield _section(record, " > ".join(path[:length]))
        if entity.kind in ("section", "document"):
            if entity.kind == "section":
                yield _section(record, "")
            if "folder" in self._kinds and (folder := _folder_of(record)):
                yield _folder(folder)
                yield from map(_folder, _above(folder))
        if entity.kind == "folder":
            yield from map(_folder, _above(_folder_of(record)))

    def _between(self, sources: Sequence[str], known: set[str]) -> Iterator[Relation]:
        """Links between the pages of these files."""
        if self._library is None:
            return
        found = {name: self._library.found(name) for name in sources}
        names = {path: name for name, path in found.items() if path is not None}
        pages = _Pages(names, self._library.folders)
        for path, name in names.items():
            page = pages.read(path)
            for link in page.links if page else ():
                target = pages.place(link)
                if target is not None:
                    start = _deepest(name, link.section, known)
                    end = _deepest(*target, known)
                    if start != end:
                        yield Relation(start, LINKS_TO, end)


@dataclass
class _Pages:
    """The places of pages, of which those last read are remembered.

    Attributes:
        names: Of which source each file is.
        roots: Folders that pages may be read from.
    """

    names: dict[Path, str]
    roots: Sequence[Path]

    def __post_init__(self) -> None:
        self._places: dict[Path, dict[str, str]] = {}

    def read(self, path: Path) -> Any:
        root = next((root for root in self.roots if path.is_relative_to(root)), path.parent)
        page = page_of(Source(path, root))
        self._places[path] = {} if page is None else page.places
        return page

    def place(self, link: PageLink) -> tuple[str, str] | None:
        """Source and section that a link leads to; ``None`` if to no page of the space."""
        if link.path not in self.names:
            return None
        if link.name and link.path not in self._places:
            self.read(link.path)
        places = self._places.get(link.path, {})
        return self.names[link.path], places.get(link.name, "") if link.name else ""


def _is_of_document(record: Record) -> bool:
    return record.source_id is not None and "kind" in record.metadata


def _section(record: Record, section: str) -> Entity:
    """A section of a record's document; the document itself, if it is empty."""
    assert record.source_id is not None
    if not section:
        stem = PurePosixPath(str(record.metadata.get("file_name") or record.source_id)).stem
        name = re.sub(r"[-_]+", " ", stem).strip() or record.source_id
        return Entity(_id("document", record.source_id), name[:_LONGEST], kind="document")
    heading = section.rpartition(" > ")[2]
    bare = _NUMBERING.sub("", heading) or heading
    others = () if bare == heading else (heading,)
    return Entity(_id("section", record.source_id, section), bare, others, "section")


def _deepest(source: str, section: str, known: set[str]) -> str:
    """The id of a section, or of the nearest one above it that records are in."""
    path = section.split(" > ") if section else []
    for length in range(len(path), 0, -1):
        name = _id("section", source, " > ".join(path[:length]))
        if name in known:
            return name
    return _id("document", source)


def _figure(record: Record) -> Entity:
    said = record.metadata.get("caption") or record.metadata.get("label") or record.id
    return Entity(_id("figure", record.id), " ".join(str(said).split())[:_LONGEST], kind="figure")


def _folder(path: str) -> Entity:
    name = re.sub(r"[-_]+", " ", path.rpartition("/")[2]).strip()
    return Entity(_id("folder", path), (name or path)[:_LONGEST], kind="folder")


def _folder_of(record: Record) -> str:
    """The folder that a record's file lies in, inside the one that was read; empty if in that."""
    name = record.metadata.get("file_name")
    folder = str(PurePosixPath(name).parent) if isinstance(name, str) else "."
    return "" if folder == "." else folder


def _above(folder: str) -> list[str]:
    return [str(path) for path in PurePosixPath(folder).parents if str(path) not in (".", "/")]


def _values(value: object) -> list[str]:
    """A field's value, or each of a list's, as a name."""
    listed = value if isinstance(value, list | tuple) else [value]
    told = [str(one).strip() for one in listed if isinstance(one, str | int | float)]
    return [text for text in dict.fromkeys(told) if text and "\0" not in text]


def _id(kind: str, *parts: str) -> str:
    name = f"{kind}:{'#'.join(parts)}"
    if len(name) <= _LONGEST:
        return name
    return f"{name[:_LONGEST]}…{hashlib.sha256(name.encode()).hexdigest()[:16]}"
