"""A space that a service keeps, used from here: its store, its encoder, its pictures."""

from typing import TYPE_CHECKING

from unisem.common.lazy import lazy_names, require

require("unisem.remote", "httpx", "unisem[client]")

if TYPE_CHECKING:
    from unisem.remote.connection import Connection as Connection
    from unisem.remote.encoder import RemoteEncoder as RemoteEncoder
    from unisem.remote.image import RemoteImage as RemoteImage
    from unisem.remote.searcher import RemoteSearcher as RemoteSearcher
    from unisem.remote.space import RemoteSpace as RemoteSpace
    from unisem.remote.store import RemoteStore as RemoteStore

__getattr__, __dir__, __all__ = lazy_names(__name__)
