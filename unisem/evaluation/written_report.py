"""`WrittenReport`: what was found, as a file for programs or for people; and `Environment`."""

from __future__ import annotations

import json
import os
import platform
from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from unisem._version import __version__
from unisem.common.atomic_files import write_whole

_PACKAGES = ("numpy", "pillow", "torch", "transformers", "sentence-transformers")


class WrittenReport(ABC):
    """Has a form for programs and one for people, and writes each; a file appears whole."""

    __slots__ = ()

    @abstractmethod
    def as_json(self) -> dict[str, Any]:
        """All figures as JSON values."""

    @abstractmethod
    def as_html(self) -> str:
        """A page that needs nothing else."""

    def write_json(self, path: str | os.PathLike[str]) -> None:
        """Write `as_json` as UTF-8.

        Raises:
            OSError: The file cannot be written.
        """
        text = json.dumps(self.as_json(), indent=2, ensure_ascii=False, allow_nan=False)
        write_whole(Path(path), text + "\n")

    def write_html(self, path: str | os.PathLike[str]) -> None:
        """Write `as_html` as UTF-8.

        Raises:
            OSError: The file cannot be written.
        """
        write_whole(Path(path), self.as_html())


@dataclass(frozen=True, slots=True)
class Environment:
    """The machine and the versions that figures come from.

    Attributes:
        created: When, ISO 8601 in UTC.
        system: Operating system and machine type.
        cpus: Logical processors.
        python: Version.
        packages: Versions of UniSem and of what computes for it.
    """

    created: str
    system: str
    cpus: int
    python: str
    packages: dict[str, str]

    @classmethod
    def here(cls) -> Environment:
        """Look at this process; nothing is imported for it."""
        packages = {"unisem": __version__}
        for name in _PACKAGES:
            try:
                packages[name] = version(name)
            except PackageNotFoundError:
                continue
        return cls(
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            system=f"{platform.system()} {platform.machine()}",
            cpus=os.cpu_count() or 1,
            python=platform.python_version(),
            packages=packages,
        )
