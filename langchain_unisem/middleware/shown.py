"""`ShownImages`: pictures as they were last sent, so that a conversation reads each once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

from unisem.images.for_models import ModelImage


class ShownImages:
    """A cache of pictures ready to send, by the digest of their file.

    An agent calls its model several times a turn, and shows it the same pictures each time.
    Threads may share it.

    Args:
        bytes: How much it keeps; what was used longest ago goes first.
    """

    def __init__(self, bytes: int) -> None:
        self._room = bytes
        self._kept: OrderedDict[str, ModelImage] = OrderedDict()
        self._lock = Lock()

    def get(self, sha256: str, read: Callable[[], ModelImage]) -> ModelImage:
        """Return the picture of this digest, reading it if it is not kept."""
        with self._lock:
            if sha256 in self._kept:
                self._kept.move_to_end(sha256)
                return self._kept[sha256]
        image = read()
        with self._lock:
            if sha256 not in self._kept:
                self._room -= len(image.data)
            self._kept[sha256] = image
            while self._room < 0:
                _, oldest = self._kept.popitem(last=False)
                self._room += len(oldest.data)
        return image
