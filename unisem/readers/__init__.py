"""Readers: files of some format to records, what cannot be read reported instead of raised."""

from unisem.readers.base import Reader, Skipped
from unisem.readers.folder import FolderReader

__all__ = ["FolderReader", "Reader", "Skipped"]
