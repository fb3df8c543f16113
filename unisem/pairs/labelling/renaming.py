"""`follow_renames`: what was asked, answered and judged is of records, which may get other ids."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from unisem.pairs.labelling.feedback import Feedback
from unisem.pairs.labelling.state import LabelState
from unisem.stores.personal_files import LABELS_FILE


def follow_renames(directory: Path, moved: Mapping[str, str]) -> None:
    """Have questions, answers and judged searches follow records that have other ids now.

    Args:
        directory: The space's.
        moved: As of `IngestReport`: old ids, each with its new one; two may change places.

    Raises:
        LabelError: A file is damaged, or cannot be written.
    """
    if not moved:
        return
    if (directory / LABELS_FILE).is_file():
        LabelState(directory / LABELS_FILE).rename(moved)
    if (feedback := Feedback(directory)).is_on:
        feedback.rename(moved)
