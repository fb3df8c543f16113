"""`look_at`: what files look like from outside, so that what looks the same need not be read."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable
from pathlib import Path

import orjson

from unisem._version import __version__

_YOUNG = 2_000_000_000  # nanoseconds in which a file may change again, and look the same


def look_at(paths: Iterable[Path | None], *said: object) -> bytes | None:
    """What files look like from outside, 16 bytes; ``None`` if that cannot be relied upon.

    That is their sizes, times and numbers on the disk, so that a file in another's place, or with
    its times set back, looks different; and what has just been changed looks like nothing yet.

    Args:
        paths: The files; ``None`` for one that is not there.
        said: What else decides what is read from them, as JSON.
    """
    parts: list[object] = [__version__, said]
    now = time.time_ns()
    for path in paths:
        if path is None:
            parts.append(None)
            continue
        try:
            it = path.stat()
        except (OSError, ValueError):
            return None
        if now - max(it.st_mtime_ns, it.st_ctime_ns) < _YOUNG:
            return None
        parts.append((it.st_size, it.st_mtime_ns, it.st_ctime_ns, it.st_ino, it.st_dev))
    return digest_of_json(parts)


def digest_of_json(value: object) -> bytes:
    """A digest of what JSON keeps of a value, 16 bytes."""
    try:
        said = orjson.dumps(value, default=dict, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # an integer of more than 64 bits
        said = json.dumps(value, default=dict, sort_keys=True).encode()
    return hashlib.blake2b(said, digest_size=16).digest()
