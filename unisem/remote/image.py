"""`RemoteImage`: the picture of a record that a service keeps, brought here when it is read."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from unisem.errors import ImageError, UniSemError
from unisem.images.elsewhere import Elsewhere
from unisem.images.reference import CHANGED, MAX_BYTES

if TYPE_CHECKING:
    from unisem.remote.space import RemoteSpace


@dataclass(frozen=True, slots=True)
class RemoteImage(Elsewhere):
    """A record's picture; no other one under the record's id is ever given.

    Attributes:
        place: The space's URL.
        record_id: The record's id.
        sha256: Digest of the picture that was found.
        is_region: Whether it is a part of a page: the service compares digest and document then,
            and renders it.
        space: Fetches it.
    """

    place: str
    record_id: str
    sha256: str | None
    is_region: bool
    space: RemoteSpace = field(repr=False, compare=False)

    @property
    def name(self) -> str:
        return f"{self.record_id} of {self.place}"

    def read(self) -> bytes:
        data = self._fetched("original")
        if not self.is_region and hashlib.sha256(data).hexdigest() != self.sha256:
            raise ImageError(self.name, CHANGED, "; search again for what is there now")
        return data

    def read_page(self) -> bytes:
        return self._fetched("page")

    def _fetched(self, size: str) -> bytes:
        try:
            return self.space.image(self.record_id, self.sha256, size, MAX_BYTES)
        except ImageError as error:
            raise error.named(self.name) from error
        except UniSemError as error:
            raise ImageError(self.name, "cannot be fetched", f" ({error})") from error
