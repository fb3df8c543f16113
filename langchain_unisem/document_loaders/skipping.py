"""`OnSkip`: who is told of a picture that cannot be used."""

from __future__ import annotations

import logging
from collections.abc import Callable

from unisem.common.skipped import Skipped

OnSkip = Callable[[Skipped], None]
"""Called with each input that gave no document. What it raises ends the loading."""

_LOGGER = logging.getLogger("langchain_unisem.document_loaders")


def log_skipped(skipped: Skipped) -> None:
    """Log a warning under ``langchain_unisem.document_loaders``."""
    _LOGGER.warning("skipped %s: %s", skipped.name, skipped.reason)
