"""`WireModel`: what all values on the wire have in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class WireModel(BaseModel):
    """A value as JSON: types as written, unknown fields refused, never changed."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, protected_namespaces=())
