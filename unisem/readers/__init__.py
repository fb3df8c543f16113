"""Readers: files of some format to records, what cannot be read reported instead of raised."""

from unisem.common.skipped import Skipped
from unisem.readers.base import Reader
from unisem.readers.folder import FolderReader

__all__ = ["FolderReader", "Reader", "Skipped"]
