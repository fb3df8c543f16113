"""`Principal` and `Tokens`: who asks, and what they may see and do."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import stat
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from unisem.errors import FilterError, UniSemError
from unisem.filters import Filter
from unisem.wire.filters import filter_of

Scope = Literal["read", "write"]
"""Whether records may be seen only, or also added, changed and removed."""

_SHORTEST = 16  # characters of a token; one that is guessed is none
_LARGEST = 1 << 20  # bytes of a file of tokens
_KEYS = {"token", "sha256", "scope", "spaces", "filter"}


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks.

    Attributes:
        scope: What they may do.
        spaces: Names of the spaces that there are for them; ``None`` for all.
        filter: What holds for every record that there is for them; ``None`` for all.
    """

    scope: Scope = "write"
    spaces: frozenset[str] | None = None
    filter: Filter | None = None

    def sees(self, space: str) -> bool:
        """Whether there is a space of that name for them."""
        return self.spaces is None or space in self.spaces

    @property
    def is_bound(self) -> bool:
        """Whether there is anything that they do not see."""
        return self.spaces is not None or self.filter is not None


ANYONE = Principal()
"""Whoever asks a service without tokens, which only this machine can reach."""


class Tokens:
    """Principals by the digests of their tokens.

    Args:
        principals: By the SHA-256 of their tokens, in hex.
    """

    def __init__(self, principals: Mapping[str, Principal]) -> None:
        self._principals = {bytes.fromhex(digest): it for digest, it in principals.items()}

    @classmethod
    def read(cls, path: Path) -> Tokens:
        """Read a file of tokens, TOML or JSON.

        It has a list ``tokens``, each with ``token`` or its ``sha256``, and where wanted ``scope``
        (``"read"``, which is the default, or ``"write"``), ``spaces`` and ``filter``.

        Raises:
            UniSemError: It cannot be read, others may change it (or read tokens in it), or an entry
                says nothing that is known.
        """
        try:
            with path.open("rb") as file:
                mode = stat.S_IMODE(path.stat().st_mode)
                text = file.read(_LARGEST).decode()
            parts = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
        except (OSError, ValueError, RecursionError) as error:
            raise UniSemError(f"{path} cannot be read ({error})") from error
        entries = parts.get("tokens") if isinstance(parts, dict) else None
        if not isinstance(entries, list) or not entries or parts.keys() != {"tokens"}:
            raise UniSemError(f"{path} must have a list of tokens and nothing else")
        is_open = any(isinstance(it, dict) and "token" in it for it in entries)
        _check_mode(path, mode, is_open)
        principals: dict[str, Principal] = {}
        for number, entry in enumerate(entries, start=1):
            digest, principal = _entry(entry, f"{path}, token {number}")
            if digest in principals:
                raise UniSemError(f"{path}, token {number} is there twice")
            principals[digest] = principal
        return cls(principals)

    def find(self, token: str) -> Principal | None:
        """Whose token it is; all are compared, in a time that says nothing of any."""
        given = hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
        found = None
        for digest, principal in self._principals.items():
            if hmac.compare_digest(digest, given):
                found = principal
        return found


def _check_mode(path: Path, mode: int, is_open: bool) -> None:
    if mode & 0o022:
        raise UniSemError(f"{path} can be changed by others; run: chmod 600 {path}")
    if is_open and mode & 0o044:
        raise UniSemError(
            f"{path} holds tokens and can be read by others; run: chmod 600 {path}, or keep their "
            "sha256 instead"
        )


def _entry(entry: Any, where: str) -> tuple[str, Principal]:
    if not isinstance(entry, dict):
        raise UniSemError(f"{where} is no table")
    if strange := entry.keys() - _KEYS:
        raise UniSemError(f"{where} has {', '.join(sorted(strange))}, which means nothing")
    scope = entry.get("scope", "read")
    if scope not in ("read", "write"):
        raise UniSemError(f'{where}: scope must be "read" or "write", not {scope!r}')
    spaces = entry.get("spaces")
    if spaces is not None and not _is_names(spaces):
        raise UniSemError(f"{where}: spaces must be a list of names")
    try:
        condition = None if "filter" not in entry else filter_of(entry["filter"])
    except FilterError as error:
        raise UniSemError(f"{where}: {error}") from error
    named = None if spaces is None else frozenset(spaces)
    return _digest(entry, where), Principal(scope, named, condition)


def _digest(entry: Mapping[str, Any], where: str) -> str:
    token, digest = entry.get("token"), entry.get("sha256")
    if (token is None) == (digest is None):
        raise UniSemError(f"{where} needs either token or sha256")
    if token is not None:
        if (
            not isinstance(token, str)
            or len(token) < _SHORTEST
            or not re.fullmatch(r"[\x21-\x7e]*", token)
        ):
            raise UniSemError(
                f"{where} must have {_SHORTEST} characters or more of ASCII, none of them a space; "
                "make one with: openssl rand -hex 24"
            )
        return hashlib.sha256(token.encode()).hexdigest()
    if not isinstance(digest, str) or not re.fullmatch(r"[0-9a-fA-F]{64}", digest):
        raise UniSemError(f"{where}: sha256 must be 64 hexadecimal digits")
    return digest.lower()


def _is_names(value: object) -> bool:
    return (
        isinstance(value, Sequence)
        and not isinstance(value, str)
        and all(isinstance(name, str) for name in value)
    )
