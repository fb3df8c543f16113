"""Which picture folders this user has named for which space, kept outside the space.

Who indexes ``/data/photos`` today wants to see its pictures tomorrow. That must not be read from
the space, which may come from a stranger; so each user has a note of their own, a small file for
each space in ``$XDG_STATE_HOME/unisem/folders`` (``~/.local/state`` if unset). It holds for a space
at its path with the random name in its file ``.identity``: one that has been moved has no note, nor
does a stranger's that lies where there was one of the user's own.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path
from secrets import token_hex

from unisem.common.owned import is_own_file

_IDENTITY = ".identity"
_LONGEST = 64  # bytes of it


def remember(space: Path, folder: Path) -> None:
    """Note that the user has named a folder for a space; without a home nothing is noted.

    Args:
        space: The space's directory, resolved.
        folder: The folder, resolved.
    """
    folders = remembered(space)
    if folder in folders or folder == Path(folder.anchor):
        return
    with suppress(OSError, RuntimeError):
        identity = _identity(space) or _named(space)
        note = _note(space)
        note.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        known = [str(known) for known in (*folders, folder)]
        text = {"space": str(space), "identity": identity, "folders": known}
        _write(note, json.dumps(text, indent=2) + "\n")


def remembered(space: Path) -> list[Path]:
    """The folders that the user has named for a space before."""
    try:
        noted = json.loads(_note(space).read_text(encoding="utf-8"))
        if (noted["space"], noted["identity"]) != (str(space), _identity(space)):
            return []
        return [Path(folder) for folder in noted["folders"]]
    except (OSError, RuntimeError, ValueError, TypeError, KeyError):
        return []


def _identity(space: Path) -> str | None:
    """The space's random name; ``None`` if it has none."""
    path = space / _IDENTITY
    if not is_own_file(path):
        return None
    with path.open("rb") as file:
        return file.read(_LONGEST).decode("ascii", "replace") or None


def _named(space: Path) -> str:
    identity = token_hex(16)
    _write(space / _IDENTITY, identity)
    return identity


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{token_hex(8)}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def _note(space: Path) -> Path:
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    name = hashlib.sha256(os.fsencode(space)).hexdigest()[:32]
    return Path(state, "unisem", "folders", f"{name}.json")
