"""`OfficePackage`: the parts of a Word or PowerPoint document and how they are related."""

from __future__ import annotations

import posixpath
import zipfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import unquote

from unisem.common.skipped import Skipped
from unisem.errors import DocumentError
from unisem.images.reference import ImageRef
from unisem.readers.documents.archive import Archive
from unisem.readers.documents.elements import Source
from unisem.readers.documents.linked_picture import linked_picture
from unisem.readers.documents.office_xml import attribute, local_name

if TYPE_CHECKING:
    from lxml.etree import _Element

_DRAWINGS = {".emf", ".wmf", ".emz", ".wmz", ".svg", ".wdp", ".pct", ".pict"}

_RUN = ("vbaproject", "vbadata", "/embeddings/", "/activex/", "/ctrlprops/")  # in parts' names


@dataclass(frozen=True, slots=True)
class _Relation:
    """What a part is related to.

    Attributes:
        kind: The last word of the relationship's type: ``image``, ``chart``.
        link: ``/`` and the name of a part of the same package; or, as the document writes it, a
            link that leads out of it.
    """

    kind: str
    link: str


class OfficePackage:
    """A zip file of parts (Open Packaging Conventions, ECMA-376 part 2).

    Args:
        data: Its bytes.
        source: Where it is from.

    Raises:
        DocumentError: As `Archive`; or it has no main part.
    """

    def __init__(self, data: bytes, source: Source) -> None:
        self.source = source
        self.faults: list[Skipped] = []
        self._archive = Archive(data, source.path.name)
        self._related: dict[str, dict[str, _Relation]] = {}
        self._pictures: dict[str, ImageRef | Skipped] = {}
        kinds = (entry for entry in self._relations("").values() if entry.kind == "officeDocument")
        main = next(kinds, None)
        if main is None or main.link[1:] not in self._archive:
            raise DocumentError(f"{source.path.name} is no Office document")
        self.main = main.link[1:]

    def xml(self, part: str) -> _Element:
        """The tree of a part.

        Raises:
            DocumentError: As `Archive.xml`.
        """
        return self._archive.xml(part)

    def xml_if_sound(self, part: str) -> _Element | None:
        """The tree of a part without which the rest can be read; what is wrong is in `faults`."""
        try:
            return self._archive.xml(part)
        except DocumentError as error:
            self.faults.append(Skipped(str(self.source.path), str(error)))
            return None

    def _relations(self, part: str) -> dict[str, _Relation]:
        """What a part, or with ``""`` the package, is related to, by the ids of relationships."""
        if part not in self._related:
            folder, name = posixpath.split(part)
            member = posixpath.join(folder, "_rels", f"{name}.rels")
            entries = self._archive.xml(member) if member in self._archive else ()
            self._related[part] = {
                attribute(entry, "Id") or "": _relation(entry, folder)
                for entry in entries
                if local_name(entry) == "Relationship"
            }
        return self._related[part]

    def related(self, part: str, kind: str) -> str | None:
        """The first part that a part is related to in some way, and that is there.

        Raises:
            DocumentError: What says so is damaged.
        """
        for entry in self._relations(part).values():
            if entry.kind == kind and entry.link[1:] in self._archive:
                return entry.link[1:]
        return None

    def link(self, part: str, relation: str | None) -> str | None:
        """What the id of a relationship leads to, for `picture`."""
        entry = self._relations(part).get(relation or "")
        return None if entry is None else entry.link

    def part_at(self, part: str, relation: str | None) -> str | None:
        """The part that the id of a relationship leads to."""
        link = self.link(part, relation) or ""
        return link[1:] if link.startswith("/") and link[1:] in self._archive else None

    def without_links(self) -> bytes:
        """The package without what leads out of it and what can be run, for another program.

        Raises:
            DocumentError: As `Archive.read`, of any part.
        """
        from lxml import etree

        buffer = BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as copy:
            for member in dict.fromkeys(self._archive.names):
                if member.endswith(".rels"):
                    root = self._archive.xml(member)
                    for entry in list(root):
                        if attribute(entry, "TargetMode") is not None:
                            root.remove(entry)
                    copy.writestr(member, etree.tostring(root))
                elif not any(word in member.casefold() for word in _RUN):
                    copy.writestr(member, self._archive.read(member))
        return buffer.getvalue()

    def picture(self, link: str) -> ImageRef | Skipped:
        """A picture by a relation's link: a part, or a file beside the document."""
        if link not in self._pictures:
            self._pictures[link] = self._opened(link)
        return self._pictures[link]

    def _opened(self, link: str) -> ImageRef | Skipped:
        if not link.startswith("/"):
            return linked_picture(link, self.source)
        place, suffix = f"{self.source.path}: {link[1:]}", PurePosixPath(link).suffix.lower()
        if suffix in _DRAWINGS:
            kind = suffix[1:].upper()
            return Skipped(place, f"is a drawing ({kind}), which is not supported; use a PNG")
        try:
            data = self._archive.read(link[1:])
        except DocumentError as error:
            return Skipped(place, str(error))
        return ImageRef(data=data) if data else Skipped(place, "is empty")


def _relation(entry: _Element, folder: str) -> _Relation:
    kind = (attribute(entry, "Type") or "").rpartition("/")[2]
    target = attribute(entry, "Target") or ""
    if attribute(entry, "TargetMode") == "External":
        return _Relation(kind, target.lstrip("/"))
    return _Relation(
        kind, posixpath.normpath(posixpath.join("/", folder, unquote(target.partition("#")[0])))
    )
