"""Compile the page's scripts, and note of which sources they are.

    npm ci --prefix tests/service/page
    python -m tools.page_scripts

The fast tests compare the note with the files, for which they need no compiler.
"""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HOME = ROOT / "unisem" / "service" / "page"
COMPILER = ROOT / "tests" / "service" / "page" / "node_modules" / ".bin" / "tsc"
NOTE = HOME / "src" / "compiled.sha256"


def digest(home: Path = HOME) -> str:
    """The SHA-256, in hex, of the sources and of what was compiled from them, with their names."""
    whole = hashlib.sha256()
    for path in sorted(
        [*home.glob("src/*.ts"), home / "src/tsconfig.json", *home.glob("files/*.js")]
    ):
        data = path.read_bytes()
        whole.update(f"{path.relative_to(home).as_posix()} {len(data)}\n".encode() + data)
    return whole.hexdigest()


def main() -> None:
    """Compile, and write the note."""
    subprocess.run([COMPILER, "-p", HOME / "src"], check=True)
    NOTE.write_text(digest() + "\n", encoding="ascii")


if __name__ == "__main__":
    main()
