"""`Environment`: the machine and the versions that figures come from."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

from unisem._version import __version__

_PACKAGES = ("numpy", "pillow", "torch", "transformers", "sentence-transformers")


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
