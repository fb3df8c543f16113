"""The kinds of queries and of vectors whose scores a calibration makes comparable."""

from __future__ import annotations

from typing import Literal

from unisem.records import VECTOR_KINDS, Modality, VectorKind

DocumentKind = VectorKind
"""What a stored vector is of; a captioned picture has one of each, if the encoder makes them."""

QueryKind = Literal["text", "image", "both"]
"""What is asked with: a text, a picture, or both in one vector."""

DOCUMENT_KINDS: tuple[DocumentKind, ...] = VECTOR_KINDS
SIDES: tuple[Modality, ...] = ("text", "image")
"""What every calibration is fitted to: fused vectors are one of these seen together."""
QUERY_KINDS: tuple[QueryKind, ...] = ("text", "image", "both")
