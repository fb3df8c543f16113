"""`IngestReport`: what became of a reader's records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from unisem.common.skipped import Skipped
from unisem.ingest.document_counts import DocumentCounts


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What became of a reader's records.

    Attributes:
        added: Records stored, new or replaced, but for those in `moved`.
        unchanged: Records that were stored already, content and all.
        removed: Chunks that a changed source no longer has, and the records in ``pruned``.
        skipped: Inputs that gave no record, or only a part of it, with reasons.
        moved: What each id is now whose file was renamed or moved, or has changed places with
            another. Nothing of these was embedded again.
        gone: Ids of the records whose files are there no more.
        pruned: Those of them that were removed.
        withheld: What is to be said of the others, and why; ``None`` if there are none.
        ignored: How many files there are of each kind that nothing reads, by suffix.
        left_out: How many files and folders were passed over unseen, by the pattern of their names:
            what is hidden or kept by systems and tools (``@eaDir``), and what you have excluded.
        words_read: Pictures in which words were read.
        documents: What the reader's documents have given, in this run and before.
        long_captions: Ids of what was added with a caption longer than the encoder reads: what
            stands further back is found by keyword alone.
    """

    added: int = 0
    unchanged: int = 0
    removed: int = 0
    skipped: tuple[Skipped, ...] = ()
    moved: Mapping[str, str] = field(default_factory=dict)
    gone: tuple[str, ...] = ()
    pruned: tuple[str, ...] = ()
    withheld: str | None = None
    ignored: Mapping[str, int] = field(default_factory=dict)
    left_out: Mapping[str, int] = field(default_factory=dict)
    words_read: int = 0
    documents: DocumentCounts = field(default_factory=DocumentCounts)
    long_captions: tuple[str, ...] = ()

    @property
    def renamed(self) -> int:
        """How many records have another id now."""
        return len(self.moved)
