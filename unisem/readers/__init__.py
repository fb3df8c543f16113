"""Readers: files of some format to records, what cannot be read reported instead of raised."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unisem.common.lazy import lazy_names

if TYPE_CHECKING:
    from unisem.common.skipped import Skipped as Skipped
    from unisem.readers.base import Reader as Reader
    from unisem.readers.folder import FolderReader as FolderReader

__getattr__, __dir__, __all__ = lazy_names(__name__)
