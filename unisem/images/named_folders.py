"""Which picture folders this user has named for which space, kept outside the space.

Who indexes ``/data/photos`` today wants to see its pictures tomorrow. That must not be read from
the space, which may come from a stranger; so each user has a note of their own, a small file for
each space in ``$XDG_STATE_HOME/unisem/folders`` (``~/.local/state`` if unset). A space that has
been moved, or comes from elsewhere, has none.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path
from secrets import token_hex


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
        note = _note(space)
        note.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = note.with_name(f".{note.name}.{token_hex(8)}")
        text = {"space": str(space), "folders": [str(known) for known in (*folders, folder)]}
        temporary.write_text(json.dumps(text, indent=2) + "\n", encoding="utf-8")
        temporary.replace(note)


def remembered(space: Path) -> list[Path]:
    """The folders that the user has named for a space before."""
    try:
        noted = json.loads(_note(space).read_text(encoding="utf-8"))
        return [Path(folder) for folder in noted["folders"]] if noted["space"] == str(space) else []
    except (OSError, RuntimeError, ValueError, TypeError, KeyError):
        return []


def _note(space: Path) -> Path:
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    name = hashlib.sha256(os.fsencode(space)).hexdigest()[:32]
    return Path(state, "unisem", "folders", f"{name}.json")
