"""`ImageRef`: where a picture's pixels are, without holding them."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from unisem.errors import ImageError
from unisem.images.decoding import decode_image, inspect_image, to_rgb
from unisem.images.elsewhere import Elsewhere
from unisem.images.region import Region, digest_of

MAX_BYTES = 256 * 1024 * 1024
"""Bytes a picture file may have; larger files are refused before they are read."""

CHANGED = "has changed since it was indexed"
"""Summary of the error that a picture raises which is no longer the one that was found."""


@dataclass(frozen=True, slots=True)
class ImageRef:
    """A reference to one picture: a file, a part of a PDF, bytes, or a picture of another machine.

    Attributes:
        path: The file, absolute once it comes out of a space.
        data: The file's bytes, for a picture that has no file yet.
        root: If set, the folder that ``path`` must stay inside, symbolic links resolved.
        region: If set, ``path`` is a PDF, and the picture is what this part of it shows, rendered
            to PNG whenever its bytes are read; of a picture elsewhere it is rendered there.
        elsewhere: Brings the bytes of a picture that lies on another machine.
        sha256: Hex digest of the picture's bytes, known once inspected.
        mime_type: By content, for example ``image/jpeg``; known once inspected.
        width: Pixels, before EXIF rotation; known once inspected.
        height: Pixels, before EXIF rotation; known once inspected.
        look: What `unisem.images.looks.look_of` says of the picture, known once prepared.
    """

    path: Path | None = None
    data: bytes | None = field(default=None, repr=False)
    root: Path | None = None
    region: Region | None = None
    elsewhere: Elsewhere | None = None
    sha256: str | None = None
    mime_type: str | None = None
    width: int | None = None
    height: int | None = None
    look: str | None = None

    def __post_init__(self) -> None:
        given = (self.path is not None) + (self.data is not None) + (self.elsewhere is not None)
        if given != 1:
            raise ImageError("image", "needs exactly one of a path and bytes")
        if self.region is not None and self.data is not None:
            raise ImageError("image", "is a region of a document, which needs the path of its PDF")

    @classmethod
    def of(cls, source: ImageSource) -> ImageRef:
        """Make a reference from a path (``str`` or ``Path``), bytes, or a Pillow picture.

        Nothing is read. A Pillow picture is kept as PNG, so that no pixel is lost; its EXIF
        orientation is applied first.

        Raises:
            ImageError: A URL (UniSem opens files, it does not fetch), a Pillow picture that is
                empty or closed, or another type.
        """
        match source:
            case ImageRef():
                return source
            case bytes() | bytearray() | memoryview():
                return cls(data=bytes(source))
            case Image.Image():
                buffer = BytesIO()
                open_image(source).save(buffer, format="PNG", compress_level=1)
                return cls(data=buffer.getvalue())
            case str() if source.lower().startswith(("http://", "https://", "data:", "file://")):
                raise ImageError(
                    source[:80], "is a URL; UniSem fetches nothing. Pass a file path or bytes"
                )
            case str() | os.PathLike():
                return cls(path=Path(source))
        raise ImageError(
            type(source).__name__, "is no picture; pass a path, bytes, or a PIL.Image.Image"
        )

    def confined(self, roots: Sequence[str | os.PathLike[str]]) -> ImageRef:
        """Return this reference bound to the first of the folders that it lies in; others pass.

        Nothing is opened.

        Args:
            roots: Folders that the user named.

        Raises:
            ImageError: It lies in none of them, symbolic links resolved.
        """
        if self.path is None:
            return self
        path = Path(os.path.abspath(self.path))
        try:
            real = Path(os.path.realpath(path))  # which, unlike `resolve`, bears loops
            for root in (Path(os.path.realpath(folder)) for folder in roots):
                if real.is_relative_to(root):
                    return replace(self, path=path, root=root)
        except (OSError, ValueError) as error:  # a path that no system can hold
            raise ImageError(self.name, "cannot be read", f" ({error})") from error
        raise ImageError(
            self.name,
            "lies outside the allowed folders",
            "; name the folders that pictures may be read from as image_roots",
        )

    @property
    def name(self) -> str:
        """What to call this picture in a message."""
        if self.path is not None:
            return f"{self.path}{'' if self.region is None else f' (page {self.region.page})'}"
        if self.elsewhere is not None:
            return self.elsewhere.name
        return f"<{len(self.data or b'')} bytes>"

    def read_bytes(self) -> bytes:
        """Read the picture's bytes: the file's, at most ``MAX_BYTES``, or a region's as PNG.

        Raises:
            ImageError: Missing, no regular file, outside ``root``, too large, unreadable; or
                another machine does not give it.
        """
        if self.elsewhere is not None:
            return self.elsewhere.read()
        data = self._file()
        return data if self.region is None else self.region.render(data, self.name)

    def read_start(self, size: int) -> bytes:
        """Read the first bytes of the file, however large it is.

        Raises:
            ImageError: Missing, no regular file, outside ``root``, unreadable.
        """
        return self._file(size) if self.elsewhere is None else self.elsewhere.read()[:size]

    def _file(self, start: int | None = None) -> bytes:
        """All bytes of the file, or its first ones."""
        if self.data is not None:
            if start is None and len(self.data) > MAX_BYTES:
                raise ImageError(self.name, f"is larger than the limit of {MAX_BYTES:,} bytes")
            return self.data[:start]
        try:
            with open(self._confined_path(), "rb", opener=_open_without_blocking) as file:
                status = os.fstat(file.fileno())
                if not stat.S_ISREG(status.st_mode):
                    raise ImageError(self.name, "is not a regular file")
                if start is not None:
                    return file.read(start)
                if status.st_size > MAX_BYTES:
                    raise ImageError(self.name, f"is larger than the limit of {MAX_BYTES:,} bytes")
                return file.read(MAX_BYTES + 1)[:MAX_BYTES]
        except FileNotFoundError:
            raise ImageError(self.name, "does not exist") from None
        except (OSError, ValueError) as error:
            if isinstance(error, ImageError):
                raise
            raise ImageError(self.name, "cannot be read", f" ({error})") from error

    def read_verified(self) -> bytes:
        """Read the file's bytes, which must have the digest ``sha256``, if that is known.

        Raises:
            ImageError: As `read_bytes`, or the file has changed, or is no picture any more.
        """
        if self.region is None:
            return self._unchanged(self.read_bytes())
        if self.elsewhere is not None:  # which renders, and has compared the document
            return self.elsewhere.read()
        document = self._file()
        data = self.region.render(document, self.name)
        if self.region.document == digest_of(document):  # whichever PDFium rendered it then
            return data
        return self._unchanged(data)

    def open_page(self) -> Image.Image | None:
        """The page that a region is a part of, with a frame around it; ``None`` for other pictures.

        Raises:
            ImageError: As `read_verified`.
        """
        if self.region is None:
            return None
        if self.elsewhere is not None:
            return decode_image(self.elsewhere.read_page(), self.name)
        document = self._file()
        if self.region.document != digest_of(document):
            self._unchanged(self.region.render(document, self.name))
        return self.region.render_page(document, self.name)

    def _unchanged(self, data: bytes) -> bytes:
        if self.sha256 is not None and hashlib.sha256(data).hexdigest() != self.sha256:
            inspect_image(data, self.name)  # what is no picture any more is called so
            raise ImageError(
                self.name,
                CHANGED,
                "; add it again, so that it is found for what it shows now",
            )
        return data

    def open(self, *, min_side: int | None = None) -> Image.Image:
        """Decode to an upright RGB picture; see `unisem.images.decoding.decode_image`.

        Raises:
            ImageError: As `read_verified`, or the bytes cannot be decoded.
        """
        return decode_image(self.read_verified(), self.name, min_side=min_side)

    def inspected(self, data: bytes | None = None) -> ImageRef:
        """Return this reference with digest, type and size filled in from the file's bytes.

        Args:
            data: The bytes, where the caller has read them already.
        """
        data = self.read_bytes() if data is None else data
        info = inspect_image(data, self.name)
        region = self.region
        if region is not None and region.document is None and self.elsewhere is None:
            region = replace(region, document=digest_of(self._file()))
        return replace(
            self,
            region=region,
            sha256=hashlib.sha256(data).hexdigest(),
            mime_type=info.mime_type,
            width=info.width,
            height=info.height,
        )

    def as_file(self, path: Path, root: Path) -> ImageRef:
        """The same picture where its bytes have been written to a file of their own."""
        return replace(self, path=path, root=root, data=None, region=None, elsewhere=None)

    def _confined_path(self) -> Path:
        assert self.path is not None
        if self.root is None:
            return self.path
        resolved = Path(os.path.realpath(self.path))  # which, unlike `resolve`, bears loops
        if not resolved.is_relative_to(os.path.realpath(self.root)):
            raise ImageError(
                self.name,
                "leads outside the allowed folder",
                f" {self.root}; if it should be read, name its folder with image_roots=[…] "
                "(--image-root)",
            )
        return resolved


ImageSource = ImageRef | str | os.PathLike[str] | bytes | bytearray | memoryview | Image.Image
"""What may stand for a picture wherever one is asked for by a named argument."""


def _open_without_blocking(path: str, flags: int) -> int:
    # A named pipe in a picture folder would otherwise stop the reader for ever.
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def open_image(source: ImageSource, *, min_side: int | None = None) -> Image.Image:
    """Open any picture source as upright RGB.

    Args:
        source: A path, bytes, a Pillow picture, or an `ImageRef`.
        min_side: As in `unisem.images.decoding.decode_image`.

    Raises:
        ImageError: Names the picture and what is wrong with it.
    """
    if isinstance(source, Image.Image):
        if 0 in source.size:
            raise ImageError("PIL image", f"has no pixels: it is {source.width} x {source.height}")
        try:
            return to_rgb(source, min_side=min_side)
        except Exception as error:
            raise ImageError("PIL image", "is damaged or truncated", f" ({error})") from error
    return ImageRef.of(source).open(min_side=min_side)


def sources_as_list(images: Any) -> list[ImageSource]:
    """Accept a sequence of pictures; refuse a lone one, which would iterate into nonsense."""
    if isinstance(images, str | os.PathLike | bytes | bytearray | memoryview | Image.Image):
        raise TypeError("pass a list of pictures, for example [path]")
    return list(images)
