"""`BlobLibrary`: pictures in an object store, for a space that is on no machine's disk.

Pictures that are added become objects ``ab/ab12….png``, named by their digests. An object is read
whole, and given only if it has that digest; a name of any other form is refused, whatever a space
says. Objects stay when their records go.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from unisem.common.lazy import require
from unisem.errors import ImageError, StoreError
from unisem.images.elsewhere import Elsewhere
from unisem.images.formats import SUFFIXES
from unisem.images.library import BLOB, ImageLibrary, facts_in, facts_of
from unisem.images.reference import CHANGED, MAX_BYTES, ImageRef


@dataclass(frozen=True, slots=True)
class Blob(Elsewhere):
    """One picture in an object store.

    Attributes:
        url: Of the library.
        object: Its name there.
        files: fsspec's file system.
        path: Where it is there.
    """

    url: str
    object: str
    files: Any = field(repr=False, compare=False)
    path: str = field(repr=False, compare=False)

    @property
    def name(self) -> str:
        """As `Elsewhere.name`."""
        return f"{self.url}/{self.object}"

    def read(self) -> bytes:
        """As `Elsewhere.read`."""
        if self.files is None:
            raise ImageError(
                self.object,
                "is in an object store that was not named",
                "; open the space with ?blobs=… behind its URI",
            )
        try:
            with _asking(self.name):
                is_large = self.files.size(self.path) > MAX_BYTES
                data: bytes = b"" if is_large else self.files.cat_file(self.path)
        except FileNotFoundError:
            raise ImageError(self.name, "does not exist") from None
        except OSError as error:
            raise ImageError(self.name, "cannot be read", f" ({error})") from error
        if is_large:
            raise ImageError(self.name, f"is larger than the limit of {MAX_BYTES:,} bytes")
        if hashlib.sha256(data).hexdigest() != self.object[3:67]:
            raise ImageError(self.name, CHANGED, "; add it again")
        return data

    def read_page(self) -> bytes:
        """Refused: what is copied here is the picture, without its page."""
        raise ImageError(self.name, "has no page; it was copied as a picture")


@contextmanager
def _asking(name: str) -> Iterator[None]:
    """Whatever the packages behind fsspec raise, as one error; an `OSError` as it is."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:  # each has its own, of missing credentials for example
        raise StoreError(
            f"{name}: the object store cannot be used ({error}); see its address and credentials"
        ) from error


class BlobLibrary(ImageLibrary):
    """Pictures in an object store, others where they are.

    Args:
        url: As fsspec has it, for example ``s3://bucket/photos``; ``None``: there is none, and what
            comes as bytes is refused.
        roots: As of `ImageLibrary`.
        copy: As of `ImageLibrary`.

    Raises:
        ImportError: fsspec, or what it needs for such URLs, is not installed.
        StoreError: fsspec knows no such URLs.
    """

    def __init__(
        self, url: str | None, roots: Sequence[Path] | None = None, *, copy: bool = False
    ) -> None:
        super().__init__(None, roots, copy=copy)
        self._url = None if url is None else url.rstrip("/")
        self._files: Any = None
        self._folder = ""
        if url is not None:
            require("a library of pictures", "fsspec", "unisem[milvus]")
            from fsspec.core import url_to_fs  # type: ignore[import-untyped]

            try:
                self._files, self._folder = url_to_fs(self._url)
            except ValueError as error:
                raise StoreError(f"{url} is no place for pictures ({error})") from error

    def placed(self, image: ImageRef, data: bytes) -> ImageRef:
        """As `ImageLibrary.placed`."""
        inspected = image.inspected(data)
        if self.holds(inspected) or not (self._copy or inspected.path is None):
            return inspected
        if self._url is None:
            raise StoreError(
                f"{image.name}: this space has no place for pictures of its own; open it with "
                'store=MilvusKind(blobs="s3://bucket/photos"), or a folder that all machines see'
            )
        assert inspected.sha256 is not None
        assert inspected.mime_type is not None
        name = f"{inspected.sha256[:2]}/{inspected.sha256}{SUFFIXES[inspected.mime_type]}"
        return replace(
            inspected, path=None, data=None, root=None, region=None, elsewhere=self._blob(name)
        )

    def write(self, placed: ImageRef, data: bytes) -> None:
        """As `ImageLibrary.write`; an object store keeps an object whole or not at all."""
        blob = placed.elsewhere
        assert isinstance(blob, Blob)
        try:
            with _asking(blob.name):
                if not self._has(blob, data):
                    self._files.makedirs(blob.path.rpartition("/")[0], exist_ok=True)
                    self._files.pipe_file(blob.path, data)
        except OSError as error:
            raise StoreError(f"{blob.name}: the picture could not be kept ({error})") from error

    def _has(self, blob: Blob, data: bytes) -> bool:
        """Whether the object is there, undamaged; read only if its length is right."""
        if not self._files.exists(blob.path) or self._files.size(blob.path) != len(data):
            return False
        there: bytes = self._files.cat_file(blob.path)
        return there == data

    def holds(self, image: ImageRef) -> bool:
        """As `ImageLibrary.holds`."""
        return isinstance(image.elsewhere, Blob) and image.elsewhere.url == self._url

    def to_json(self, image: ImageRef) -> str:
        """As `ImageLibrary.to_json`."""
        if not isinstance(blob := image.elsewhere, Blob):
            return super().to_json(image)
        return json.dumps({"blob": blob.object, **facts_in(image)}, separators=(",", ":"))

    def from_json(self, text: str) -> ImageRef:
        """As `ImageLibrary.from_json`.

        Raises:
            ValueError: It names an object as no library does.
        """
        place = json.loads(text)
        if "blob" not in place:
            return super().from_json(text)
        name, digest = str(place["blob"]), place["sha256"]
        if (found := BLOB.fullmatch(name)) is None or found[3] or name[3:67] != digest:
            raise ValueError(f"{name!r:.100} is no picture's name")
        return ImageRef(elsewhere=self._blob(name), **facts_of(place))

    def settle(self, images: Iterable[ImageRef | None]) -> None:
        """Nothing to do: objects are never collected."""

    def _blob(self, name: str) -> Blob:
        return Blob(self._url or "no place", name, self._files, f"{self._folder}/{name}")
