"""`Places`: what strangers are told of where the files lie that records were cut from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath

from unisem.records import Record
from unisem.stores.selection import Selection


class Places:
    """Sources' names without the folders of a machine.

    A source that lies beside its space is called by a relative path, another one by its whole path.
    Of that no more is told than begins with the name of the folder that its reader was given:
    ``photos/tom.jpg``, and of a path in no such folder, as another machine's, its last part.

    Args:
        roots: Folders that have been named for the space.
        all_paths: Whether paths outside of them are hidden, too.
    """

    def __init__(self, roots: Sequence[Path], *, all_paths: bool) -> None:
        self._roots = sorted(roots, key=lambda root: len(root.parts), reverse=True)
        self._all_paths = all_paths

    def told(self, record: Record) -> Record:
        """The record, as it is told."""
        source = record.source_id
        name = None if source is None else self._name(source)
        return record if name == source else replace(record, source_id=name)

    def meant(self, selection: Selection) -> Selection:
        """A selection by names that were told, as one by sources."""
        if selection.source_ids is None:
            return selection
        sources = [source for name in selection.source_ids for source in self._sources(name)]
        return replace(selection, source_ids=tuple(dict.fromkeys(sources)))

    def _name(self, source: str) -> str:
        path = _absolute(source)
        if path is None:
            return source
        for root in self._roots:
            if path.is_relative_to(root):
                return (PurePath(root.name) / path.relative_to(root)).as_posix()
        return path.name if self._all_paths else source

    def _sources(self, name: str) -> list[str]:
        is_told = not self._all_paths or self._name(name) == name  # else nobody was told it
        parents = [root.parent for root in self._roots if name.startswith(f"{root.name}/")]
        inside = [f"{parent.as_posix().rstrip('/')}/{name}" for parent in parents]
        return [*([name] if is_told else []), *(it for it in inside if self._name(it) == name)]


def _absolute(source: str) -> PurePath | None:
    """A path of this system or another one, from its root; ``None`` if it is none."""
    for kind in (PurePosixPath, PureWindowsPath):
        if (path := kind(source)).is_absolute():
            return path
    return None
