"""What embeddings are called, and the digest that tells one model's vectors from another's."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from langchain_core.embeddings import Embeddings
from pydantic import BaseModel

_SECRETS = {"api", "auth", "cookie", "credential", "credentials", "header", "headers", "key"}
_SECRETS |= {"password", "secret", "token"}
_PLACES = {"device", "endpoint", "host", "organization", "port", "proxy", "region", "uri", "url"}
_SPEED = {"batch", "cache", "chunk", "gpu", "parallel", "process", "processes", "thread", "workers"}
_SPEED |= {"progress", "retries", "retry", "timeout", "verbose"}
_IGNORED = _SECRETS | _PLACES | _SPEED  # words in the names of settings
_MODEL_NAMES = ("model", "model_name", "model_id", "repo_id", "deployment")
_DEPTH = 4


def name_of(embeddings: Embeddings) -> str:
    """What a person calls these embeddings, for example ``OpenAIEmbeddings(gpt-small)``."""
    settings = dict(_settings(embeddings))
    models = (settings.get(name) for name in _MODEL_NAMES)
    model = next((value for value in models if isinstance(value, str) and value), None)
    return type(embeddings).__name__ + ("" if model is None else f"({model})")


def fingerprint_of(embeddings: Embeddings) -> str:
    """Digest of the class and of those public settings that may change its vectors.

    Left out are secrets, places, and what only changes how fast it goes: settings whose names
    say so, and those that are no JSON. A setting that is taken in needlessly leads to an error
    that names its remedy; one that is left out needlessly would mix two models' vectors.
    """
    parts = {"class": _class_name(embeddings), "settings": _plain(embeddings, _DEPTH)}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _class_name(value: object) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


def _settings(value: object) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        parts: Mapping[Any, Any] = value
    elif isinstance(value, BaseModel):
        parts = {name: getattr(value, name) for name in type(value).model_fields}
    else:
        parts = getattr(value, "__dict__", {})
    for name, part in parts.items():
        if isinstance(name, str) and name[:1] != "_" and not _IGNORED & set(_words(name)):
            yield name, part


def _words(name: str) -> list[str]:
    return name.lower().replace("-", "_").split("_")


def _plain(value: object, depth: int) -> Any:
    """The value as JSON; ``None`` for what is none or lies too deep."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case _ if not depth:
            return None
        case list() | tuple():
            return [_plain(item, depth - 1) for item in value]
        case Mapping():
            return {name: _plain(part, depth - 1) for name, part in _settings(value)}
        case Embeddings():  # one model wrapped in another
            parts = {name: _plain(part, depth - 1) for name, part in _settings(value)}
            return {"class": _class_name(value), **parts}
    return None
