"""`Archive`: a document that is a zip file, its members read one at a time within bounds."""

from __future__ import annotations

import struct
import zipfile
import zlib
from io import BytesIO
from typing import TYPE_CHECKING

from unisem.errors import DocumentError

if TYPE_CHECKING:
    from lxml.etree import _Element

MOST_MEMBERS = 50_000
"""Members that an archive may have."""
MAX_MEMBER = 128 * 1024 * 1024
"""Bytes that a member may have when it is unpacked."""
MAX_XML = 64 * 1024 * 1024
"""Bytes that a member may have which is parsed; its tree is some ten times as large."""
MAX_UNPACKED = 1024 * 1024 * 1024
"""Bytes that may be unpacked of one archive in all."""

_ENTRY = b"PK\x01\x02"  # begins a member's entry in the directory
_OLE = bytes.fromhex("d0cf11e0a1b11ae1")  # Office before 2007, and what it encrypts today
_ENCRYPTED = 1  # the flag
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    ValueError,  # which UnicodeDecodeError is
    OverflowError,
    NotImplementedError,
)


class Archive:
    """A zip file of somebody else's. Nothing is written, so no name can lead anywhere.

    Args:
        data: Its bytes.
        name: What to call it in an error.

    Raises:
        DocumentError: No zip file, a damaged one, one with a password, too many members.
    """

    def __init__(self, data: bytes, name: str) -> None:
        self.name = name
        self._left = MAX_UNPACKED
        if data.startswith(_OLE):
            raise DocumentError(
                f"{name} needs a password, or is in the format of Office before 2007; "
                "save a copy without one, in today's format"
            )
        if data.count(_ENTRY) > MOST_MEMBERS:  # before zipfile makes objects of them
            raise DocumentError(f"{name} has more than {MOST_MEMBERS:,} members")
        try:
            self._zip = zipfile.ZipFile(BytesIO(data))
        except _DAMAGED as error:
            raise DocumentError(f"{name} is damaged, or of another format ({error})") from error

    @property
    def names(self) -> list[str]:
        """The members' names, as they stand in the directory."""
        return self._zip.namelist()

    def __contains__(self, member: object) -> bool:
        return member in self._zip.NameToInfo

    def read(self, member: str, at_most: int = MAX_MEMBER) -> bytes:
        """Unpack a member.

        Args:
            member: Its name.
            at_most: Bytes that it may have, whatever the directory says that it has.

        Raises:
            DocumentError: There is none of the name; it is damaged, encrypted, packed in a way that
                documents are not, or too large; or more than `MAX_UNPACKED` has been unpacked.
        """
        place = f"{self.name}: {member}"
        try:
            info = self._zip.getinfo(member)
        except KeyError:
            raise DocumentError(f"{place} is not there") from None
        if info.flag_bits & _ENCRYPTED:
            raise DocumentError(f"{place} needs a password; save a copy without one")
        if info.compress_type not in _METHODS:
            raise DocumentError(f"{place} is packed in a way that documents are not")
        bound = min(at_most, self._left)
        try:
            with self._zip.open(info) as file:
                data = file.read(bound + 1)
        except _DAMAGED as error:
            raise DocumentError(f"{place} is damaged ({error})") from error
        self._left -= min(len(data), bound)
        if len(data) > bound:
            raise DocumentError(f"{place} is larger than the limit of {bound:,} bytes")
        return data

    def xml(self, member: str) -> _Element:
        """Parse a member as XML: no entities, no DTD, no network, and no more than `MAX_XML`.

        Raises:
            DocumentError: As `read`; or it is no XML.
        """
        from lxml import etree

        parser = etree.XMLParser(
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            huge_tree=False,
            remove_comments=True,
            remove_pis=True,
        )
        try:
            return etree.fromstring(self.read(member, MAX_XML), parser)
        except etree.XMLSyntaxError as error:
            raise DocumentError(f"{self.name}: {member} is damaged ({error})") from error
