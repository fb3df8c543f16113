"""`local_name` and its kin: Office's XML by local names, so that its strict form is read, too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lxml.etree import _Element

_RELATIONSHIPS = "/relationships"  # ends the namespace of what names a related part


def local_name(node: _Element) -> str:
    """A tag without its namespace; empty for what is no element."""
    return node.tag.rpartition("}")[2] if isinstance(node.tag, str) else ""


def attribute(node: _Element | None, name: str) -> str | None:
    """An attribute by its local name; one of another part's id is found by `relation`."""
    if node is None:
        return None
    for key, value in node.items():
        space, _, local = str(key).rpartition("}")
        if local == name and not space.endswith(_RELATIONSHIPS):
            return str(value)
    return None


def relation(node: _Element, name: str = "id") -> str | None:
    """The id of the relationship that an attribute names."""
    for key, value in node.items():
        space, _, local = str(key).rpartition("}")
        if local == name and space.endswith(_RELATIONSHIPS):
            return str(value)
    return None


def children(node: _Element | None, *names: str) -> Iterator[_Element]:
    """The elements directly below one, of some names if any are given."""
    if node is not None:
        for child in node:
            name = local_name(child)
            if name and (not names or name in names):
                yield child


def descend(node: _Element | None, *path: str) -> _Element | None:
    """The first element at the end of a path of names."""
    for name in path:
        node = next(children(node, name), None)
    return node


def is_on(node: _Element | None) -> bool:
    """Whether a switch is there, and not there to be off."""
    return node is not None and attribute(node, "val") not in ("0", "false", "off")
