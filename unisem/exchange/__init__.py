"""Spaces as plain files that any tool can read, out and in: see ``docs/guides/exchange.md``."""

from unisem.exchange.exporting import ExportReport, export_space, salvage_space
from unisem.exchange.importing import ImportReport, import_space

__all__ = ["ExportReport", "ImportReport", "export_space", "import_space", "salvage_space"]
