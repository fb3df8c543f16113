"""`RemoteSpace`: one space of one service, and the pictures of its records."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Self, TypeVar
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel

from unisem.errors import ImageError, ServiceError
from unisem.images.decoding import inspect_image
from unisem.images.looks import is_look
from unisem.images.reference import ImageRef
from unisem.records import Record
from unisem.remote.connection import Connection, segment
from unisem.remote.image import RemoteImage
from unisem.stores.hits import Hit
from unisem.wire.answers import SpaceList
from unisem.wire.hit import WireHit
from unisem.wire.record import WireImage, WireRecord
from unisem.wire.store import StoreInfo

_Answer = TypeVar("_Answer", bound=BaseModel)
_SPACES = "/v1/spaces"
_SHARE = 0.9  # of a request that pictures, texts or records may take


class RemoteSpace:
    """Asks for one space, and knows its limits.

    Args:
        connection: To the service.
        name: The space's name there.

    Raises:
        ServiceError: There is no such space, or the token is not for it.
    """

    def __init__(self, connection: Connection, name: str) -> None:
        self.connection = connection
        self.name = name
        self._root = f"{_SPACES}/{segment(name)}"
        self.info = self.told()
        self.limits = self.info.limits

    @classmethod
    def at(
        cls, url: str, name: str | None = None, *, token: str | None = None, timeout: float = 60.0
    ) -> Self:
        """Find a space.

        Args:
            url: Of the service, or what `place` gives of a space.
            name: The space's name there; may be left out if there is one only.
            token: As of `Connection`.
            timeout: Likewise.

        Raises:
            ServiceError: It cannot be reached, or there is no such space.
        """
        base, found, last = url.rpartition(f"{_SPACES}/")
        if found and name is None:
            url, name = base, unquote(last)
        connection = Connection(url, token, timeout=timeout)
        try:
            return cls(connection, name if name is not None else _only(connection))
        except ServiceError as error:
            connection.close()
            if error.status != 404:
                raise
            raise _not_there(url, token, name, error) from error
        except BaseException:
            connection.close()
            raise

    def __repr__(self) -> str:
        return f"RemoteSpace({self.place!r})"

    def __deepcopy__(self, memo: object) -> Self:
        return self  # a copy of a record reads by the same connection

    @property
    def place(self) -> str:
        """The space's URL."""
        return self.connection.url + self._root

    def told(self) -> StoreInfo:
        """What the service says of the space now."""
        return self.connection.ask(StoreInfo, "GET", f"{self._root}/store")

    def ask(
        self, answer: type[_Answer], path: str, body: BaseModel, *, again: bool = True
    ) -> _Answer:
        """Post a request to a path of the space; see `Connection.ask`."""
        return self.connection.ask(answer, "POST", f"{self._root}{path}", body, again=again)

    def image(self, record_id: str, sha256: str | None, size: str, most: int) -> bytes:
        """The bytes of a record's picture, or of what is made of it.

        Raises:
            UniSemError: As `Connection.send`; or the record has a picture of another digest.
        """
        return self.connection.send(
            "GET",
            f"{self._root}/records/{segment(record_id)}/image",
            parameters={"size": size} | ({} if sha256 is None else {"sha256": sha256}),
            most=most,
        )

    def read_picture(self, image: ImageRef) -> bytes:
        """The bytes of a picture that the service takes.

        Raises:
            ImageError: It cannot be used, or is more than the service takes.
        """
        data = image.read_verified()
        info = inspect_image(data, image.name)
        self.check_picture(image.name, len(data), info.width * info.height)
        return data

    def check_picture(self, name: str, size: int, pixels: int) -> None:
        """Refuse a picture that the service would refuse.

        Args:
            name: What to call it.
            size: Bytes of its file.
            pixels: Its width times its height.

        Raises:
            ImageError: It is larger than one request may be, or has too many pixels.
        """
        most = 3 * self.room // 4  # which base64 makes a third larger
        if size > most:
            raise ImageError(
                name,
                f"has {size:,} bytes, more than the {most:,} that the service takes",
                "; scale it down, or let the service take more (--limit body_bytes=…)",
            )
        if pixels > self.limits.pixels:
            raise ImageError(
                name,
                f"has {pixels:,} pixels, more than the {self.limits.pixels:,} that the service "
                "takes",
                "; scale it down, or let the service take more (--limit pixels=…)",
            )

    def weight(self, written: bytes) -> int:
        """Bytes of a request that some JSON takes, more where it has more values than others."""
        values = sum(map(written.count, (b",", b"[", b"{")))  # or more, as of commas in a text
        return max(len(written), values * self.limits.body_bytes // self.limits.values)

    def fitting(self, sizes: Sequence[int], most: int) -> Iterator[slice]:
        """Runs of inputs that one request may have, by their number and their bytes."""
        start = size = 0
        for place, bytes_ in enumerate(sizes):
            if place > start and (place - start == most or size + bytes_ > self.room):
                yield slice(start, place)
                start, size = place, 0
            size += bytes_
        if start < len(sizes):
            yield slice(start, len(sizes))

    @property
    def room(self) -> int:
        """Bytes that the items of a request may take."""
        return int(_SHARE * self.limits.body_bytes)

    def record_of(self, wire: WireRecord) -> Record:
        """A record, whose picture stays where it is until it is read."""
        return wire.to_core(partial(self._reference, wire.id))

    def hit_of(self, wire: WireHit) -> Hit:
        """A hit, likewise."""
        return wire.to_core(self.record_of)

    def _reference(self, record_id: str, wire: WireImage) -> ImageRef:
        region = wire.to_region()
        return ImageRef(
            elsewhere=RemoteImage(
                place=self.place,
                record_id=record_id,
                sha256=wire.sha256,
                is_region=region is not None,
                space=self,
            ),
            region=region,
            sha256=wire.sha256,
            mime_type=wire.mime_type,
            width=wire.width,
            height=wire.height,
            look=wire.look if is_look(wire.look) else None,
        )


def _not_there(url: str, token: str | None, name: str | None, error: ServiceError) -> ServiceError:
    """What to say of a space, or of a whole service, that is not at an address."""
    root = url[: -len(path)] if (path := urlsplit(url).path) else url
    connection = Connection(url, token)
    try:
        names = _names(connection)
    except ServiceError:
        if not path:
            return error
        words = f"{url} is not the address of a service; give its root, {root}"
        return ServiceError(words, status=404)
    finally:
        connection.close()
    listed = _listed(names)
    return ServiceError(f"{url} has no space {name!r} for you, but {listed}", status=404)


def _names(connection: Connection) -> list[str]:
    return sorted(it.name for it in connection.ask(SpaceList, "GET", _SPACES).spaces)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:20])) or "none"


def _only(connection: Connection) -> str:
    """The name of the only space."""
    names = _names(connection)
    if not names:
        raise ServiceError(f"{connection.url} has no space for you; use a token that is for one")
    if len(names) != 1:
        raise ServiceError(
            f"{connection.url} has {len(names)} spaces for you ({_listed(names)}); say which: "
            "space=…"
        )
    return names[0]
