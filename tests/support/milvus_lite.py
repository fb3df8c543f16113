"""A Milvus Lite of this process, whose file is removed when that ends."""

from __future__ import annotations

import atexit
import shutil
from functools import cache
from itertools import count
from pathlib import Path
from tempfile import mkdtemp

_numbers = count()


@cache
def _file() -> Path:
    folder = Path(mkdtemp(prefix="milvus-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder / "lite.db"


def milvus_place() -> str:
    """The URI of a space that is not there yet."""
    return f"milvus://{_file()}/space_{next(_numbers)}"
