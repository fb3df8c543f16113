"""`PairDataset`: queries with their documents, as training wants them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from unisem.common.skipped import Skipped
from unisem.errors import TrainingError
from unisem.pairs.input import Form, Input
from unisem.pairs.pair import Pair

if TYPE_CHECKING:
    from unisem.pairs.sources.tables import Columns

Ids = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class PairDataset:
    """Pairs in a fixed order, and what could not become one.

    The usual pairs are captions and their pictures; a picture with several captions gives several.
    Pictures are referred to, not opened: `unisem.training.check_pairs` opens them.

    Attributes:
        pairs: The pairs.
        skipped: Inputs that gave no pair, with reasons.
    """

    pairs: tuple[Pair, ...]
    skipped: tuple[Skipped, ...] = ()

    def __len__(self) -> int:
        return len(self.pairs)

    def __iter__(self) -> Iterator[Pair]:
        return iter(self.pairs)

    def __getitem__(self, position: int) -> Pair:
        return self.pairs[position]

    @property
    def captions(self) -> list[str]:
        """The caption of every pair.

        Raises:
            TrainingError: A pair is of another kind than a caption and its picture.
        """
        return [pair.caption for pair in self.pairs]

    @property
    def kinds(self) -> dict[str, int]:
        """How many pairs there are of each kind, in the order of appearance."""
        return dict(Counter(pair.kind for pair in self.pairs))

    @property
    def forms(self) -> set[Form]:
        """What inputs, negatives among them, are made of."""
        return {one.form for pair in self.pairs for one in pair.inputs}

    @property
    def query_ids(self) -> Ids:
        """``(n,)`` numbers from 0 in order of appearance, equal where queries are the same."""
        return counted(self.contents[:, 0])

    @property
    def document_ids(self) -> Ids:
        """``(n,)`` numbers from 0 in order of appearance, equal where documents are the same."""
        return counted(self.contents[:, 1])

    @property
    def contents(self) -> Ids:
        """``(n, 2)`` numbers of queries and documents, equal where any two of these are the same.

        Texts are that if they differ in case and white space only, pictures if their contents or
        their ids are equal, and what is both if both its parts are.
        """
        sides = [side for pair in self.pairs for side in (pair.query, pair.document)]
        return content_numbers(sides).reshape(-1, 2)

    @property
    def groups(self) -> Ids:
        """``(n,)`` numbers, equal where pairs hang together by a text or by a picture.

        A text or a picture counts on whichever side it is, alone or together with the other.
        Negatives join nothing.
        """
        same = _Union(len(self.pairs))
        for position, pair in enumerate(self.pairs):
            for key in (*content_keys(pair.query), *content_keys(pair.document)):
                same.join(position, key)
        return same.numbers()

    def select(self, positions: Sequence[int] | Ids) -> PairDataset:
        """The pairs at some positions, in that order."""
        return PairDataset(tuple(self.pairs[int(position)] for position in positions))

    @classmethod
    def read(
        cls,
        source: str | os.PathLike[str],
        *,
        columns: Columns | None = None,
        image_root: str | os.PathLike[str] | None = None,
        unpack_to: str | os.PathLike[str] | None = None,
    ) -> PairDataset:
        """Read pairs from a folder or a file; its kind is told by its ending.

        Args:
            source: A folder of pictures, a folder of ``.tar`` shards, or a ``.jsonl``, ``.csv``,
                ``.tsv``, ``.parquet``, ``.tar`` file; ``.json`` is COCO captions.
            columns: Names of a table's columns of paths and captions.
            image_root: The folder that a file's picture paths are relative to and must stay in;
                the file's own folder if ``None``.
            unpack_to: Where the pictures of shards are unpacked.

        Raises:
            TrainingError: Nothing there, or a kind that is not known.
        """
        path = Path(source)
        suffix = path.suffix.lower()
        if path.is_dir():
            if shards := sorted(path.glob("*.tar")):
                return cls.from_shards(shards, _needed(unpack_to, path))
            return cls.from_folder(path)
        if not path.is_file():
            raise TrainingError(f"{source} is neither a folder nor a file")
        if suffix == ".tar":
            return cls.from_shards([path], _needed(unpack_to, path))
        if suffix == ".json":
            return cls.from_coco(path, image_root)
        if suffix in (".jsonl", ".csv", ".tsv", ".parquet"):
            return cls.from_table(path, columns=columns, image_root=image_root)
        raise TrainingError(
            f"{source}: {suffix or 'a file without an ending'} is not supported; pass a folder, "
            ".jsonl, .csv, .tsv, .parquet, .tar, or COCO captions as .json"
        )

    @classmethod
    def from_folder(cls, folder: str | os.PathLike[str]) -> PairDataset:
        """Pairs of a folder's pictures with captions; see `unisem.readers.FolderReader`."""
        from unisem.pairs.sources.folder import read_folder

        return cls(*read_folder(Path(folder)))

    @classmethod
    def from_class_folders(cls, folder: str | os.PathLike[str]) -> PairDataset:
        """Pictures of ``FOLDER/CLASS/…``, each with its class as caption."""
        from unisem.pairs.sources.class_folders import read_class_folders

        return cls(*read_class_folders(Path(folder)))

    @classmethod
    def from_table(
        cls,
        table: str | os.PathLike[str],
        *,
        columns: Columns | None = None,
        image_root: str | os.PathLike[str] | None = None,
    ) -> PairDataset:
        """Pairs of a table's rows; see `unisem.pairs.sources.tables`."""
        from unisem.pairs.sources.tables import Columns, read_table

        path = Path(table)
        return cls(*read_table(path, columns or Columns(), Path(image_root or path.parent)))

    @classmethod
    def from_coco(
        cls, annotations: str | os.PathLike[str], images: str | os.PathLike[str] | None = None
    ) -> PairDataset:
        """Pairs of a COCO captions file; see `unisem.pairs.sources.coco`."""
        from unisem.pairs.sources.coco import read_coco

        path = Path(annotations)
        return cls(*read_coco(path, Path(images or path.parent)))

    @classmethod
    def from_shards(
        cls, shards: Sequence[str | os.PathLike[str]], unpack_to: str | os.PathLike[str]
    ) -> PairDataset:
        """Pairs of WebDataset tar shards; see `unisem.pairs.sources.shards`."""
        from unisem.pairs.sources.shards import read_shards

        return cls(*read_shards([Path(shard) for shard in shards], Path(unpack_to)))

    @classmethod
    def from_dataset(
        cls,
        dataset: Any,
        unpack_to: str | os.PathLike[str],
        *,
        image: str = "image",
        caption: str = "caption",
        image_root: str | os.PathLike[str] | None = None,
    ) -> PairDataset:
        """Pairs of a Hugging Face ``datasets.Dataset``; see `unisem.pairs.sources.hub`."""
        from unisem.pairs.sources.hub import read_dataset

        root = None if image_root is None else Path(image_root)
        return cls(*read_dataset(dataset, Path(unpack_to), image, caption, root))


def caption_key(caption: str) -> str:
    """What two captions have in common if they differ in case and white space only.

    >>> caption_key("A  Tiger ") == caption_key("a tiger")
    True
    """
    return " ".join(caption.casefold().split())


def content_keys(one: Input) -> list[tuple[str, str]]:
    """What another input has in common with this one if it shows its text or its picture."""
    keys = []
    if one.text is not None:
        keys.append(("text", caption_key(one.text)))
    if one.image is not None:
        keys.append(("id", one.image_id or ""))
        if one.image.sha256 is not None:
            keys.append(("sha256", one.image.sha256))
    return keys


def content_numbers(inputs: Sequence[Input]) -> Ids:
    """``(n,)`` numbers from 0 in order of appearance, equal where inputs are the same.

    Args:
        inputs: The inputs; what makes two the same is said in `PairDataset.contents`.
    """
    same = _Union(len(inputs))
    for position, one in enumerate(inputs):
        for key in content_keys(one):
            if key[0] != "text":
                same.join(position, key)
    numbers: dict[tuple[int, str | None], int] = {}
    found = []
    for one, picture in zip(inputs, same.numbers().tolist(), strict=True):
        text = None if one.text is None else caption_key(one.text)
        content = (-1 if one.image is None else picture, text)
        found.append(numbers.setdefault(content, len(numbers)))
    return np.array(found, np.int64)


def counted(numbers: Ids) -> Ids:
    """The same numbers, called 0, 1, 2 … in the order of their appearance."""
    order: dict[int, int] = {}
    return np.array([order.setdefault(n, len(order)) for n in numbers.tolist()], np.int64)


class _Union:
    """Disjoint sets of positions (union by first member, path halving)."""

    def __init__(self, size: int) -> None:
        self._parent = list(range(size))
        self._first: dict[tuple[str, str], int] = {}

    def join(self, position: int, key: tuple[str, str]) -> None:
        """Join a position to those that have the same key."""
        one, other = self._root(self._first.setdefault(key, position)), self._root(position)
        self._parent[max(one, other)] = min(one, other)

    def numbers(self) -> Ids:
        """``(n,)`` numbers of the sets, from 0 in order of appearance."""
        roots = [self._root(position) for position in range(len(self._parent))]
        order = {root: number for number, root in enumerate(dict.fromkeys(roots))}
        return np.array([order[root] for root in roots], np.int64)

    def _root(self, position: int) -> int:
        parent = self._parent
        while parent[position] != position:
            parent[position] = parent[parent[position]]
            position = parent[position]
        return position


def _needed(folder: str | os.PathLike[str] | None, source: Path) -> Path:
    if folder is None:
        raise TrainingError(
            f"{source} holds pictures inside tar files; name a folder to unpack them to (unpack_to)"
        )
    return Path(folder)
