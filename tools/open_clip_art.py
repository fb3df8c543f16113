"""The Open Clip Art Library, from the two Debian packages that hold it.

`openclipart-png` has the pictures, `openclipart-svg` the same pictures as SVG with their metadata:
`png/animals/cat.png` belongs to `svg/animals/cat.svg`.
"""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

VERSION = "1:0.18+dfsg-19"
PACKAGES = {  # name: sha256 of the .deb
    "openclipart-png": "f07f1545a2970c2cf3fa339bc2405da1a95cf2b1827bfa05bf73eb1c20291c02",
    "openclipart-svg": "989712d90d57dfa3230049f553bb43b76c30ee4d4b8c5f6e106e33f7db5cbdc5",
}
LIBRARY = "usr/share/openclipart"  # where both packages put their files


class LibraryError(Exception):
    """The packages cannot be had, or are not the pinned ones."""


@contextmanager
def fetched_library() -> Iterator[Path]:
    """The library's folder, fetched and unpacked into a temporary directory.

    Raises LibraryError if apt does not offer the pinned version or a checksum differs.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # Root's apt otherwise drops to a user that may not write here, and warns about it.
        command = ["apt-get", "download", "-o", "APT::Sandbox::User=root"]
        command += [f"{package}={VERSION}" for package in PACKAGES]
        try:
            subprocess.run(command, cwd=folder, check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise LibraryError(
                f"apt-get could not download {', '.join(PACKAGES)} {VERSION}; unpack the packages "
                f"yourself and pass --source DIR, the folder with png and svg in it"
            ) from error
        for package, expected in PACKAGES.items():
            (deb,) = folder.glob(f"{package}_*.deb")
            actual = hashlib.sha256(deb.read_bytes()).hexdigest()
            if actual != expected:
                raise LibraryError(f"{deb.name} has sha256 {actual}, expected {expected}")
            subprocess.run(["dpkg-deb", "-x", deb, folder / "unpacked"], check=True)
        yield folder / "unpacked" / LIBRARY
