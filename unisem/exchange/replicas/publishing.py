"""`publish_space`: a space's present state to a place, as its next version.

1. Whoever else publishes there is kept out.
2. One committed state is copied to a folder of this machine; its records refer to all pictures as
   blobs of the space.
3. Files are cut into parts; parts that are there are not sent again.
4. The version's description is put.
5. ``latest.json`` is put: the point at which the version is published. A crash before it leaves
   the former version, and parts that the next publication finds or removes.
6. Versions that are not to be kept go, then parts that no version has.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from unisem.common.scratch import ScratchFolder
from unisem.common.skipped import Skipped
from unisem.common.threads import awaited, finished, workers
from unisem.errors import CorruptStoreError, ImageError, StoreError
from unisem.exchange.replicas.depot import Depot
from unisem.exchange.replicas.places import depot_at
from unisem.exchange.replicas.version import (
    MOST_POINTER,
    MOST_VERSION,
    OBJECTS,
    PART,
    POINTER,
    VERSIONS,
    Pointer,
    StoredFile,
    Version,
    digest_of,
    is_half_written,
    numbered,
    object_name,
    part_named,
)
from unisem.images.library import listed_folders
from unisem.images.reference import ImageRef
from unisem.manifest import Manifest
from unisem.space import SemanticSpace
from unisem.stores.maintenance import Maintenance, Staged
from unisem.stores.registry import place_of

_SURE = 64  # parts that are sent before it is made sure that nobody else publishes
_AHEAD = 16  # parts that are read before they are sent
_TRIES = 4  # states that are copied where pictures vanish meanwhile, because somebody compacts


@dataclass(frozen=True, slots=True)
class PublishReport:
    """What was published.

    Attributes:
        version: The newest version there is now.
        is_new: Whether this has made it; else it is the former one, as nothing has changed.
        sent: Bytes that were sent, of parts that were not there.
        missing: Pictures that cannot be read here; records are there without them.
        removed: How many older versions were removed.
        remark: What could not be tidied up; nothing is wrong with the version. Else empty.
    """

    version: Version
    is_new: bool
    sent: int
    missing: tuple[Skipped, ...] = ()
    removed: int = 0
    remark: str = ""


def publish_space(
    space: SemanticSpace | str | os.PathLike[str],
    destination: str | os.PathLike[str],
    *,
    keep: int = 3,
    check: bool = False,
    image_roots: Sequence[str | os.PathLike[str]] = (),
    progress: Callable[[int], None] | None = None,
) -> PublishReport:
    """Publish a space's present state, which others may go on to read and write.

    Args:
        space: An open space, or the directory of one.
        destination: A directory, or a URL that fsspec knows, as ``s3://bucket/photos``.
        keep: How many versions stay there, the new one among them.
        check: Read all that is there of it, and send anew what is damaged.
        image_roots: Folders that pictures may lie in, besides the usual ones.
        progress: Called with how many bytes have been looked at.

    Raises:
        ValueError: ``keep`` is less than 1.
        StoreError: There is no such space, it has no files, or a disk or the destination refused;
            what was published before is as it was.
        StoreLockedError: Somebody else publishes there.
        CorruptStoreError: The space is damaged.
    """
    if keep < 1:
        raise ValueError(f"keep must be 1 or more, not {keep}")
    depot = depot_at(destination)
    keeper = _keeper(space, listed_folders(image_roots))
    with depot.alone() as sure:
        former = _former(depot)
        sender = _Sender(depot, sure, progress, check)
        for _ in range(_TRIES):
            state = _sent(keeper, sender, former)
            if not state.may_come:
                break
        sent, missing = sender.sent, state.missing
        if former is not None and former.files == state.files:
            sure()
            pruned = _pruned(depot, former, keep, sure)
            return PublishReport(former, False, sent, missing, *pruned)
        version = Version(
            number=_next_number(depot, former),
            published=datetime.now(UTC).isoformat(timespec="seconds"),
            moment=state.moment,
            lineage=former.lineage if former and state.goes_on else secrets.token_hex(16),
            files=state.files,
        )
        pointer, description = Pointer.to(version), version.to_bytes()
        if len(description) > MOST_VERSION:  # nobody would read it
            raise StoreError(
                f"{len(version.files):,} files are more than one published space can have; "
                "publish it as several spaces"
            )
        depot.write(pointer.description, description)
        sure()
        depot.write(POINTER, pointer.to_bytes())
        pruned = _pruned(depot, version, keep, sure)
        return PublishReport(version, True, sent, missing, *pruned)


def read_pointer(depot: Depot) -> Pointer | None:
    """Which version is the newest; ``None`` if none was published.

    Raises:
        CorruptStoreError: It is damaged.
        StoreError: The place cannot be reached.
    """
    data = depot.read(POINTER, MOST_POINTER)
    return None if data is None else Pointer.parsed(data, f"{depot.name}/{POINTER}")


def read_version(depot: Depot, pointer: Pointer) -> Version:
    """The version that a pointer names.

    Raises:
        CorruptStoreError: It is not there, or another one.
        StoreError: The place cannot be reached.
    """
    name = f"{depot.name}/{pointer.description}"
    data = depot.read(pointer.description, pointer.size)
    if data is None or digest_of(data) != pointer.digest:
        raise CorruptStoreError(f"{name} is missing or damaged; publish the space again")
    return Version.parsed(data, name)


def _keeper(space: SemanticSpace | str | os.PathLike[str], roots: list[Path]) -> Maintenance:
    if isinstance(space, SemanticSpace):
        for root in roots:
            space.image_library.allow(root)
        return space.store.maintenance()
    path = place_of(space)
    manifest = Manifest.read(path)
    if manifest is None:
        raise StoreError(f"there is no space at {path}")
    kind = manifest.kind(path)
    library = kind.image_library(path)
    for root in roots:
        library.allow(root)
    return kind.maintenance(path, library)


def _former(depot: Depot) -> Version | None:
    """The newest version; ``None`` where it is damaged, as a new one mends that."""
    try:
        pointer = read_pointer(depot)
        return None if pointer is None else read_version(depot, pointer)
    except CorruptStoreError:
        return None


def _next_number(depot: Depot, former: Version | None) -> int:
    known = [numbered(name) or 0 for name in depot.sizes(VERSIONS)]
    return max([0 if former is None else former.number, *known]) + 1


@dataclass(frozen=True, slots=True)
class _State:
    """A committed state that has been sent.

    Attributes:
        files: By name.
        moment: Names it, for the store.
        goes_on: Whether its records are numbered as those of the former version.
        missing: Pictures that cannot be read.
        may_come: Whether one of them lay inside the space, so that a later state is without it.
    """

    files: dict[str, StoredFile]
    moment: str
    goes_on: bool
    missing: tuple[Skipped, ...]
    may_come: bool


def _sent(keeper: Maintenance, sender: _Sender, former: Version | None) -> _State:
    scratch = ScratchFolder()
    try:
        copy = scratch.path / "space"
        copy.mkdir()
        staged = keeper.stage(copy)
        with sender.sending():
            files, missing = _pictures(staged, sender, former)
            for path in sorted(copy.rglob("*")):
                if path.is_file() and not path.name.startswith("."):
                    files[path.relative_to(copy).as_posix()] = sender.send_file(path)
        return _State(
            files={name: sending.stored() for name, sending in files.items()},
            moment=staged.moment,
            goes_on=former is not None and staged.follows(former.moment),
            missing=tuple(it for it, _ in missing),
            may_come=any(is_inside for _, is_inside in missing),
        )
    finally:
        scratch.close()


def _pictures(
    staged: Staged, sender: _Sender, former: Version | None
) -> tuple[dict[str, _Sending], list[tuple[Skipped, bool]]]:
    files: dict[str, _Sending] = {}
    missing: dict[str, tuple[Skipped, bool]] = {}
    for place, image in staged.pictures:
        name = f"blobs/{place}"
        if name in files or name in missing:
            continue
        known = None
        if former is not None and former.part_bytes == PART:
            known = former.files.get(name)
        if known is not None and sender.has(known):
            files[name] = _Sending(known.size, [finished(part) for part in known.parts])
            continue
        try:
            files[name] = sender.send(image.read_verified())
        except ImageError as error:
            missing[name] = Skipped.of(error), _is_inside(image)
    return files, list(missing.values())


def _is_inside(image: ImageRef) -> bool:
    path, root = image.path, image.root
    return path is not None and root is not None and path.is_relative_to(root / "blobs")


@dataclass(frozen=True, slots=True)
class _Sending:
    """A file whose parts are on their way."""

    size: int
    parts: list[Future[str]]

    def stored(self) -> StoredFile:
        return StoredFile(self.size, tuple(part.result() for part in self.parts))


@dataclass(slots=True)
class _Sender:
    """Sends parts that are not there, several at once.

    Attributes:
        sent: Bytes that were sent.
    """

    depot: Depot
    sure: Callable[[], None]
    progress: Callable[[int], None] | None
    check: bool
    sent: int = 0
    _seen: int = 0
    _count: int = 0
    _known: dict[str, int] | None = None
    _whole: set[str] = field(default_factory=set)
    _pool: ThreadPoolExecutor | None = None
    _waiting: list[Future[str]] = field(default_factory=list)

    @contextmanager
    def sending(self) -> Iterator[None]:
        """At the end all has arrived."""
        with workers("unisem-publish") as pool:
            self._pool = pool
            yield
            self._wait(0)

    @property
    def known(self) -> dict[str, int]:
        """Bytes of the parts that are there."""
        if self._known is None:
            found = self.depot.sizes(OBJECTS)
            self._known = {part: size for name, size in found.items() if (part := part_named(name))}
        return self._known

    def has(self, file: StoredFile) -> bool:
        """Whether all of a file is there, and need not be read."""
        if self.check or not all(part in self.known for part in file.parts):
            return False
        return file.size == sum(self.known[part] for part in file.parts)

    def send(self, data: bytes) -> _Sending:
        """Have a file's content there."""
        pieces = [data[start : start + PART] for start in range(0, len(data), PART)]
        return _Sending(len(data), [self._send(piece) for piece in pieces])

    def send_file(self, path: Path) -> _Sending:
        """Have a file there, of which a part is in memory at a time."""
        size, parts = 0, []
        with path.open("rb") as file:
            while piece := file.read(PART):
                size += len(piece)
                parts.append(self._send(piece))
        return _Sending(size, parts)

    def _send(self, piece: bytes) -> Future[str]:
        digest = digest_of(piece)
        self._seen += len(piece)
        if self.progress is not None:
            self.progress(self._seen)
        if self.known.get(digest) == len(piece) and self._is_whole(digest, piece):
            return finished(digest)
        self.known[digest] = len(piece)
        self._whole.add(digest)
        self.sent += len(piece)
        self._count += 1
        if self._count % _SURE == 0:
            self.sure()
        assert self._pool is not None
        self._wait(_AHEAD)
        future = self._pool.submit(self._put, digest, piece)
        self._waiting.append(future)
        return future

    def _is_whole(self, digest: str, piece: bytes) -> bool:
        if not self.check or digest in self._whole:
            return True
        self._whole.add(digest)  # it is, or will be once it is sent
        return self.depot.read(object_name(digest), len(piece)) == piece

    def _put(self, digest: str, piece: bytes) -> str:
        self.depot.write(object_name(digest), piece)
        return digest

    def _wait(self, ahead: int) -> None:
        while len(self._waiting) > ahead:
            awaited(self._waiting.pop(0))


def _pruned(depot: Depot, newest: Version, keep: int, sure: Callable[[], None]) -> tuple[int, str]:
    """Remove what is not to be kept: how many versions, and what went wrong.

    Nothing is removed once somebody else publishes: what looks like nobody's may be theirs.
    """
    try:
        names = depot.sizes(VERSIONS)
        described = {name: number for name in names if (number := numbered(name)) is not None}
        present = Pointer.to(newest).description
        used, kept, gone = newest.parts, 1, []
        for name in sorted(described.keys() - {present}, key=lambda it: -described[it]):
            parts = None
            if kept < keep and described[name] < newest.number:  # else it was never pointed to
                parts = _parts_of(depot, name)
            if parts is None:
                gone.append(name)
            else:
                used, kept = used | parts, kept + 1
        half = list(filter(is_half_written, names))  # which is nobody's now
        sure()
        depot.remove([*gone, *half])
        found = {name: part_named(name) for name in depot.sizes(OBJECTS)}
        unused = [name for name, part in found.items() if part is not None and part not in used]
        sure()
        depot.remove([*unused, *filter(is_half_written, found)])  # a user's own files stay
        return len(gone), ""
    except StoreError as error:
        return 0, f"older versions were not removed: {error}"


def _parts_of(depot: Depot, name: str) -> set[str] | None:
    """The parts of a version; ``None`` if it is damaged and nobody can use it."""
    try:
        data = depot.read(name, MOST_VERSION)
        return None if data is None else Version.parsed(data, name).parts
    except CorruptStoreError:
        return None
