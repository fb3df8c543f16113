"""`ToolImageReference`: which picture a tool found, in a message, in place of its bytes.

Memory and events keep messages as JSON of LlamaIndex's own classes, so a reference must be one of
their fields: it is an `ImageBlock`'s URL. It says whose picture it is, its digest and how large it
may be sent, and not where the file lies: a picture is looked for where this process's tools found
or may find it, so that a message from elsewhere opens no file.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from urllib.parse import parse_qs, quote, urlencode, urlsplit
from weakref import WeakSet

from llama_index_unisem.retrievers.retriever import UniSemRetriever
from unisem.common.forks import Mutex
from unisem.errors import ImageError, UniSemError
from unisem.images.for_models import (
    MAX_BYTES,
    MAX_SIDE,
    ImageLimits,
    ModelImage,
    Regions,
    image_for_model,
)
from unisem.images.reference import ImageRef
from unisem.presentation.contents import image_found

_SCHEME = "unisem-picture"
_DIGEST = re.compile("[0-9a-f]{64}")
_REMEMBERED = 4096  # places of pictures that were found last


@dataclass(frozen=True, slots=True)
class ToolImageReference:
    """A picture in a tool's result.

    Attributes:
        result_id: Whose picture it is.
        sha256: Hex digest of the file's bytes.
        side: Pixels that its longer side may have when sent.
        bytes: Bytes that it may have when sent.
        regions: How a part of a page is shown.
    """

    result_id: str
    sha256: str
    side: int = MAX_SIDE
    bytes: int = MAX_BYTES
    regions: Regions = "alone"

    @classmethod
    def to(cls, ref: ImageRef, result_id: str, limits: ImageLimits) -> ToolImageReference:
        """Refer to a picture that was found, and remember where it is.

        Args:
            ref: The picture.
            result_id: Whose it is.
            limits: What it alone may amount to when it is sent.

        Raises:
            ImageError: It cannot be read, and its digest is not known.
        """
        known = ref if ref.sha256 is not None else ref.inspected()
        assert known.sha256 is not None
        _places.remember(known, known.sha256)
        return cls(result_id, known.sha256, limits.side, limits.bytes, limits.regions)

    @classmethod
    def parse(cls, url: object) -> ToolImageReference | None:
        """Read a URL; ``None`` if it is none of ours."""
        try:
            parts = urlsplit(str(url))
            if parts.scheme != _SCHEME:
                return None
            values = parse_qs(parts.query, strict_parsing=True, max_num_fields=5)
            (result_id,), (sha256,) = values["id"], values["sha256"]
            side, size = (int(values[name][0]) for name in ("side", "bytes"))
        except (ValueError, KeyError):
            return None
        regions: Regions = "on_page" if values.get("regions") == ["on_page"] else "alone"
        if not _DIGEST.fullmatch(sha256) or min(side, size) < 1:
            return None
        return cls(result_id, sha256, side, size, regions)

    @property
    def url(self) -> str:
        """The reference as a URL, which nothing but `parse` understands."""
        values: dict[str, str | int] = {
            "id": self.result_id,
            "sha256": self.sha256,
            "side": self.side,
            "bytes": self.bytes,
        }
        if self.regions != "alone":
            values["regions"] = self.regions
        return f"{_SCHEME}:?{urlencode(values, quote_via=quote)}"

    def read(self, most: int = MAX_BYTES) -> ModelImage:
        """Read the picture: the file that has its digest.

        Args:
            most: Bytes that it may have, if the reference allows no fewer.

        Raises:
            ImageError: No file has, as far as this process's tools know.
        """
        failed = None
        for ref in _places.of(self):
            try:
                known = replace(ref, sha256=self.sha256)
                return image_for_model(
                    known,
                    side=self.side,
                    max_bytes=min(self.bytes, most),
                    regions=self.regions,
                )
            except ImageError as error:
                failed = error
        raise failed or ImageError(
            f"the picture of {self.result_id!r}", "is in none of the spaces that are searched here"
        )


def look_in(retriever: UniSemRetriever) -> None:
    """Have pictures be looked for in what a retriever can find, as long as it lives."""
    _places.retrievers.add(retriever)


class _Places:
    """Where pictures of this process's tools are."""

    def __init__(self) -> None:
        self.retrievers: WeakSet[UniSemRetriever] = WeakSet()
        self._found: OrderedDict[str, ImageRef] = OrderedDict()
        self._mutex = Mutex()

    def remember(self, ref: ImageRef, sha256: str) -> None:
        with self._mutex:
            self._found[sha256] = ref
            self._found.move_to_end(sha256)
            while len(self._found) > _REMEMBERED:
                self._found.popitem(last=False)

    def of(self, reference: ToolImageReference) -> Iterator[ImageRef]:
        """Where a picture was found last, then where a space has it now."""
        with self._mutex:
            found, retrievers = self._found.get(reference.sha256), list(self.retrievers)
        if found is not None:
            yield found
        for retriever in retrievers:
            selection = retriever.settings.selection
            ids = selection.ids
            if ids is not None and reference.result_id not in ids:
                continue
            try:
                chosen = replace(selection, ids=(reference.result_id,))
                records = list(retriever.space.store.select(chosen))
            except UniSemError:  # a space that has been closed, say
                continue
            for record in records:
                known = image_found(record, reference.sha256)
                if not isinstance(known, str):
                    yield known


_places = _Places()
