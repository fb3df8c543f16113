"""`depot_at`: what is at a place where a space is published."""

from __future__ import annotations

import os
import re
from pathlib import Path

from unisem.exchange.replicas.depot import Depot, DirectoryDepot

_URL = re.compile(r"([a-z][a-z0-9+.-]+)://")


def depot_at(place: str | os.PathLike[str]) -> Depot:
    """What is at a place: a directory, or a URL of any kind that fsspec knows.

    Raises:
        StoreError: There is no such kind of URL here; says what to install.
    """
    found = _URL.match(place) if isinstance(place, str) else None
    if found is None:
        return DirectoryDepot(Path(place))
    if found[1] == "file":
        return DirectoryDepot(Path(str(place).removeprefix("file://")))
    from unisem.exchange.replicas.remote_depot import RemoteDepot  # fsspec, and what it finds

    return RemoteDepot(str(place))


def is_url(place: str | os.PathLike[str]) -> bool:
    """Whether this is a URL, and no directory."""
    return isinstance(place, str) and _URL.match(place) is not None
