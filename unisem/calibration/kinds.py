"""The kinds of queries and of vectors whose scores a calibration makes comparable."""

from __future__ import annotations

from typing import Literal

DocumentKind = Literal["text", "image"]
"""What a stored vector is of; a captioned picture has one of each."""

QueryKind = Literal["text", "image", "both"]
"""What is asked with: a text, a picture, or both in one vector."""

DOCUMENT_KINDS: tuple[DocumentKind, ...] = ("text", "image")
QUERY_KINDS: tuple[QueryKind, ...] = ("text", "image", "both")
