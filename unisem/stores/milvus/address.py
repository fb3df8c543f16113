"""`Address`: where a space in Milvus is."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import parse_qs, unquote, urlsplit

from unisem.errors import StoreError

TOKEN = "UNISEM_MILVUS_TOKEN"  # noqa: S105 - where it is, not what it is
"""The environment variable with the token, or ``user:password``, of a Milvus that wants one."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}")
_TAKEN = re.compile(r".*_vectors|.*_calibrated_.*")
_FORMS = (
    "milvus://host:19530/space, milvus://host:19530/database/space, with ?tls=1 behind it for TLS, "
    "or milvus:///folder/file.db/space for Milvus Lite"
)


@dataclass(frozen=True, slots=True)
class Address:
    """A space's place, taken apart.

    Attributes:
        uri: What the user has written.
        endpoint: As pymilvus wants it; of Milvus Lite its file.
        database: Of a server; the usual one if empty.
        space: What its collections' names begin with.
        blobs: Where its pictures go, if the URI says.
    """

    uri: str
    endpoint: str
    database: str
    space: str
    blobs: str | None

    @classmethod
    def of(cls, uri: str) -> Self:
        """Take a URI apart.

        Raises:
            StoreError: It is none, has something unknown, or a secret, which would get into logs.
        """
        parts = urlsplit(uri)
        asked = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        path = [unquote(part) for part in parts.path.split("/") if part]
        if parts.username is not None or parts.password is not None:
            host = parts.netloc.rpartition("@")[2]
            raise StoreError(
                f"milvus://{host}{parts.path}: a token in a URI gets into logs; set it as the "
                f"environment variable {TOKEN}"
            )
        if asked.keys() - {"tls", "blobs"} or asked.get("tls", "1") not in ("0", "1"):
            place = uri.partition("?")[0]  # the rest may be a secret
            raise StoreError(f"{place}: only tls=1 and blobs=… may stand behind the question mark")
        if not path or not _NAME.fullmatch(path[-1]):
            raise StoreError(
                f"{uri} names no space of letters, digits and underscores; write {_FORMS}"
            )
        if _TAKEN.fullmatch(path[-1]):
            raise StoreError(
                f"{uri}: a space's own collections are called …_vectors and …_calibrated_…; give "
                "the space another name"
            )
        blobs = asked.get("blobs")
        if not parts.netloc:
            file = Path("/", *path[:-1])
            if file.suffix != ".db" or "tls" in asked:
                raise StoreError(f"{uri}: Milvus Lite keeps spaces in a file *.db; write {_FORMS}")
            return cls(uri, str(file), "", path[-1], blobs)
        if len(path) > 2:
            raise StoreError(f"{uri} has too many parts; write {_FORMS}")
        scheme, port = ("https", 443) if asked.get("tls") == "1" else ("http", 19530)
        host = (
            f"{parts.netloc}:{port}" if ":" not in parts.netloc.rpartition("]")[2] else parts.netloc
        )
        database = path[0] if len(path) == 2 else ""
        return cls(uri, f"{scheme}://{host}", database, path[-1], blobs)

    @property
    def is_lite(self) -> bool:
        """Whether it is a file of Milvus Lite, of this machine."""
        return "://" not in self.endpoint

    @staticmethod
    def token() -> str:
        """The secret, from the environment; empty if none is set."""
        return os.environ.get(TOKEN, "")
