"""`ImageLibrary`: where a space's pictures may lie, and how their places survive a move.

A picture is stored as a place, never as pixels in the catalogue:

* ``beside``: a path relative to the folder that holds the space, so that space and pictures can
  be moved together, and the folder below it (``root``) that the path must stay inside;
* ``folder``: an absolute folder that the user named, and a path inside it;
* ``blob``: a content-addressed copy inside the space, for pictures that came as bytes.

Beside any but a blob there may be a ``region``: then the file is a PDF, the picture a part of it.

A place says where a picture is, never that it may be read: a space may come from a stranger. It is
read if it lies, links resolved, in a folder that whoever opened the space has named.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from unisem.common.atomic_files import fsync_folder, publish
from unisem.common.json_text import from_json, to_json
from unisem.common.owned import is_own_file, is_own_folder
from unisem.common.scratch import ScratchFolder
from unisem.errors import ImageError, StoreError
from unisem.images.formats import SUFFIXES
from unisem.images.lease import BlobLease
from unisem.images.looks import is_look
from unisem.images.named_folders import remember, remembered
from unisem.images.reference import ImageRef
from unisem.images.region import Region

_SUFFIX = "|".join(suffix[1:] for suffix in SUFFIXES.values())
BLOB = re.compile(rf"([0-9a-f]{{2}})/\.?\1[0-9a-f]{{62}}\.({_SUFFIX})(\.[0-9a-f]{{16}})?")
"""Files that may be deleted: pictures, and what a process left that was killed while it wrote."""

_FACTS = ("sha256", "mime_type", "width", "height")


class ImageLibrary:
    """The picture folders of one space.

    Args:
        directory: The space's own directory, or ``None`` for a space in memory.
        roots: If given, pictures are read from these folders (and the space's own blobs) only.
            If ``None``, the folder that holds the space and the working directory are allowed,
            neither if it is the root of a file system, and every folder that this user has named
            for this space, see `unisem.images.named_folders`.
        copy: Keep a copy inside the space of every picture that is added, not only of those that
            come as bytes.
    """

    def __init__(
        self, directory: Path | None, roots: Sequence[Path] | None = None, *, copy: bool = False
    ) -> None:
        self._copy = copy
        self._scratch: ScratchFolder | None = None
        if directory is None:
            self._scratch = ScratchFolder()
            self._own = self._blobs = self._scratch.path
        else:
            self._own = directory.resolve()
            self._blobs = self._own / "blobs"
        self._beside = None if directory is None else self._own.parent
        self._confined = roots is not None
        if roots is None:
            # Nobody chose the root of a file system: it is where services are started.
            usual = [Path.cwd(), *([self._beside] if self._beside else [])]
            roots = [root for root in usual if root != Path(root.anchor)]
            roots += [] if directory is None else remembered(self._own)
        self._roots = [Path(root).resolve() for root in roots]
        self._root_names = {root.name for root in self._roots}
        self._real: dict[Path, bool] = {}
        self._known: dict[tuple[str, str, str], tuple[Path, Path]] = {}
        self._lease = BlobLease(directory)

    @property
    def folders(self) -> tuple[Path, ...]:
        """From which folders pictures are read."""
        return tuple(self._roots)

    def allow(self, folder: Path) -> None:
        """Add a folder that the user named, now and whenever they open this space again.

        Raises:
            ImageError: The space was opened with its own list of roots, and this is not in it;
                or no system has such a path.
        """
        folder = _real(folder, ImageRef(path=folder))
        if self._root_of(folder) is None:
            if self._confined:
                raise ImageError(str(folder), "is outside the allowed folders", f" {self._shown}")
            self._roots.append(folder)
            self._root_names.add(folder.name)
            self._known.clear()
            if self._beside is not None:
                remember(self._own, folder)

    def admit(self, image: ImageRef) -> ImageRef:
        """Confine a path from outside to one of the roots; bytes pass as they are.

        Raises:
            ImageError: The path, symbolic links resolved, is in none of the allowed folders.
        """
        if image.path is None:
            return image
        path = _real(image.path, image)
        root = self._root_of(path)
        if root is None:
            raise ImageError(
                str(image.path),
                "is outside the allowed folders",
                f" {self._shown}; open the space with image_roots=[…], add its folder with "
                "add_folder, or pass the picture's bytes",
            )
        narrower = root if image.root is None else _real(image.root, image)
        if narrower.is_relative_to(root):
            root = narrower  # whoever made the reference wanted it so
        if not path.is_relative_to(root):
            raise ImageError(str(image.path), "leads outside the allowed folder", f" {root}")
        return ImageRef(path=path, root=root, region=image.region)

    def placed(self, image: ImageRef, data: bytes) -> ImageRef:
        """Inspect an admitted picture and say where it will lie; nothing is written.

        That is where it is; for bytes, and where pictures are copied, among the space's blobs.

        Raises:
            ImageError: The bytes are no picture.
        """
        inspected = image.inspected(data)
        if inspected.path is not None and not (self._copy or self.holds(inspected)):
            return inspected
        if not self.holds(inspected):
            assert inspected.sha256 is not None
            assert inspected.mime_type is not None
            name = f"{inspected.sha256[:2]}/{inspected.sha256}{SUFFIXES[inspected.mime_type]}"
            # Not under the folder of blobs: that could be made a link to any other.
            inspected = inspected.as_file(self._blobs / name, self._own)
        assert inspected.path is not None
        self._lease.take(inspected.path.relative_to(self._blobs).as_posix())
        return inspected

    def keep(self, image: ImageRef, data: bytes) -> ImageRef:
        """As `placed`, and write a picture that is to lie in the space's blobs.

        Raises:
            ImageError: The bytes are no picture.
            StoreError: The disk refused, or there is a link in place of a folder of the space.
        """
        placed = self.placed(image, data)
        if (placed.path, placed.elsewhere) != (image.path, image.elsewhere):
            self.write(placed, data)
        return placed

    def write(self, placed: ImageRef, data: bytes) -> None:
        """Write a picture to the blob that it was `placed` at, unless it is there.

        Raises:
            StoreError: As `keep`.
        """
        path = placed.path
        assert path is not None
        try:
            for folder in (self._blobs, path.parent):
                folder.mkdir(parents=True, exist_ok=True)
                if not is_own_folder(folder):
                    raise StoreError(
                        f"{folder} is a link; a space keeps its pictures in folders of its own"
                    )
            if not _is_kept(path, data):
                _write_durably(path, data)
        except OSError as error:
            raise StoreError(f"{path}: the picture could not be kept ({error})") from error

    def holds(self, image: ImageRef) -> bool:
        """Whether a picture lies inside the space, and so goes when that goes."""
        return image.path is not None and image.path.is_relative_to(self._blobs)

    def is_placed(self, image: ImageRef) -> bool:
        """Whether a kept picture of a file lies where `placed` would have it lie now."""
        return image.elsewhere is not None or self.holds(image) == self._copy

    def to_json(self, image: ImageRef) -> str:
        """Describe a kept picture by its place."""
        assert image.path is not None
        root = image.root
        if root is None or not image.path.is_relative_to(root):  # this space's roots do not hold it
            root = image.path.parent
        place: dict[str, Any]
        if self.holds(image):
            place = {"blob": image.path.relative_to(self._blobs).as_posix()}
        elif self._beside is not None and image.path.is_relative_to(self._beside):
            place = {"beside": image.path.relative_to(self._beside).as_posix()}
            if root.is_relative_to(self._beside):
                place["root"] = root.relative_to(self._beside).as_posix()
        else:
            place = {"folder": root.as_posix(), "path": image.path.relative_to(root).as_posix()}
        place |= facts_in(image)
        if image.region is not None:
            place["region"] = image.region.to_json()
        return to_json(place)

    def from_json(self, text: str) -> ImageRef:
        """Rebuild a picture's reference; whether the path may be read is checked when it is."""
        place = from_json(text)
        facts = facts_of(place)
        if "region" in place:
            facts["region"] = Region.from_json(place["region"])
        if "blob" in place:
            return ImageRef(path=self._blobs / place["blob"], root=self._own, **facts)
        if "beside" in place:
            start, inside, given = "", place["beside"], place.get("root", ".")
        else:
            start, inside, given = place["folder"], place["path"], ""
        name = inside.rpartition("/")[2]
        key = (start, inside[: len(inside) - len(name)], given)
        is_usual = name not in ("", ".", "..") and not self._is_folder(name, given or start)
        if is_usual and (known := self._known.get(key)) is not None:
            return ImageRef(path=known[0] / name, root=known[1], **facts)
        beside = Path(start) if start else self._beside or Path("/nonexistent")
        path, root = self._found(beside / inside, beside / given)
        if is_usual and path.name == name:
            self._known[key] = path.parent, root
        return ImageRef(path=path, root=root, **facts)

    def _is_folder(self, name: str, narrower: str) -> bool:
        """Whether a folder is called so that a file would have to stay inside, were it that one."""
        return name == narrower.rstrip("/").rpartition("/")[2] or name in self._root_names

    def _found(self, path: Path, narrower: Path) -> tuple[Path, Path]:
        """A stored path, and the folder that it must stay inside: one for all files of a folder."""
        path = Path(os.path.normpath(path))
        root = self._root_of(path) or self._own
        if narrower.is_relative_to(root) and path.is_relative_to(narrower):
            if narrower not in self._real:
                self._real[narrower] = str(narrower) == os.path.realpath(narrower)
            if self._real[narrower]:  # a link could make it any folder
                root = narrower
        return path, root

    def locate(self, path: Path) -> str:
        """Name a file so that the name survives moving space and files together."""
        real = os.path.realpath(path)  # as text: this is asked of every file of a folder
        if self._beside is not None:
            if real == os.fspath(self._beside):
                return "."
            real = real.removeprefix(os.path.join(self._beside, ""))
        return real.replace(os.sep, "/")

    def exists(self, location: str) -> bool:
        """Whether the file that `locate` named is still there."""
        return ((self._beside or Path("/")) / location).is_file()

    def found(self, location: str) -> Path | None:
        """The file that `locate` named; ``None`` if it is in none of the allowed folders, or gone.

        Nothing is opened.
        """
        try:
            path = Path(os.path.realpath((self._beside or Path("/")) / location))
            return path if self._root_of(path) is not None and path.is_file() else None
        except ValueError:  # a name that no system can hold, as a stranger may write it
            return None

    def collect(self, used: set[str]) -> int:
        """Delete blobs that no record refers to; return how many.

        Those of records that are just being added stay; while another process adds, all do.

        Args:
            used: Places inside ``blobs/``, as `to_json` writes them.
        """
        deleted = 0
        with self._lease.collecting() as pending:
            if pending is None or not is_own_folder(self._blobs):
                return 0
            for folder in self._blobs.iterdir():
                for path in folder.iterdir() if is_own_folder(folder) else ():
                    name = path.relative_to(self._blobs).as_posix()
                    kept = re.sub(r"/\.(.*)\.[0-9a-f]{16}$", r"/\1", name)  # of one half written
                    if name in used or kept in pending or not BLOB.fullmatch(name):
                        continue
                    with suppress(OSError):  # the disk refuses
                        if is_own_file(path):
                            path.unlink()
                            deleted += 1
        return deleted

    def settle(self, images: Iterable[ImageRef | None]) -> None:
        """The records of these pictures are stored: what keeps them from now on is that."""
        inside = [image.path for image in images if image is not None and self.holds(image)]
        if inside:
            self._lease.settle(path.relative_to(self._blobs).as_posix() for path in inside if path)

    def close(self) -> None:
        """Remove the blobs of a space in memory, and let others collect."""
        self._lease.close()
        if self._scratch is not None:
            self._scratch.close()

    @property
    def _shown(self) -> str:
        return ", ".join(str(root) for root in dict.fromkeys(self._roots)) or "(none)"

    def _root_of(self, path: Path) -> Path | None:
        holding = [root for root in self._roots if path.is_relative_to(root)]
        if path.is_relative_to(self._blobs):
            holding.append(self._own)
        return max(holding, key=lambda root: len(root.parts), default=None)


def facts_in(image: ImageRef) -> dict[str, Any]:
    """What is kept of a picture, beside where it is."""
    facts: dict[str, Any] = {name: getattr(image, name) for name in _FACTS}
    return facts if image.look is None else facts | {"look": image.look}


def facts_of(place: dict[str, Any]) -> dict[str, Any]:
    """Read `facts_in`, which may come from a stranger.

    Raises:
        KeyError: A part is missing.
    """
    facts = {name: place[name] for name in _FACTS}
    if is_look(look := place.get("look")):
        facts["look"] = look
    return facts


def listed_folders(folders: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """Folders that somebody names, as paths.

    Raises:
        TypeError: One folder, whose letters would each be taken for one: "/" for everything.
    """
    if isinstance(folders, str | bytes | os.PathLike):
        raise TypeError(f"image_roots must be a list of folders, for example [{folders!r}]")
    return [Path(folder) for folder in folders]


def _real(path: Path, image: ImageRef) -> Path:
    """A path with its links resolved; unlike `Path.resolve` this bears links in a circle.

    Raises:
        ImageError: No system has such a path.
    """
    try:
        return Path(os.path.realpath(path))
    except ValueError as error:  # NUL, half a surrogate pair
        raise ImageError(image.name, "cannot be read", f" ({error})") from error


def _is_kept(path: Path, data: bytes) -> bool:
    if not is_own_file(path):
        return False
    try:
        return path.stat().st_size == len(data) and path.read_bytes() == data
    except FileNotFoundError:
        return False


def _write_durably(path: Path, data: bytes) -> None:
    """Write through a temporary name, so that a blob is whole or absent, also after a power cut."""
    digest = hashlib.sha256(os.urandom(16)).hexdigest()[:16]
    temporary = path.with_name(f".{path.name}.{digest}")
    try:
        with temporary.open("wb") as file:
            file.write(data)
        publish(temporary, path)
        fsync_folder(path.parent.parent)  # which may have got a new folder
    finally:
        with suppress(OSError):
            temporary.unlink()
