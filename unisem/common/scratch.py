"""`ScratchFolder`: a temporary folder that ends with the process that made it."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from weakref import finalize


class ScratchFolder:
    """Removed when it is closed or forgotten, or the process ends; a forked child leaves it.

    Attributes:
        path: The folder, without links.
    """

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="unisem-")).resolve()
        self._finish = finalize(self, _remove, self.path, os.getpid())

    def close(self) -> None:
        """Remove it; safe to call twice."""
        self._finish()


def _remove(folder: Path, process: int) -> None:
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)
