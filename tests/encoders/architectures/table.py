"""The table of ``docs/guides/choosing_an_encoder.md``, from what the tests declare.

    python -m tests.encoders.architectures.table

A cell says yes only because the test of the column's name passes for the row's architecture.
"""

from __future__ import annotations

from pathlib import Path

from tests.encoders.architectures.kinds import ARCHITECTURES, Architecture

PAGE = Path(__file__).parents[3] / "docs" / "guides" / "choosing_an_encoder.md"
BEGIN = "<!-- python -m tests.encoders.architectures.table -->\n"
END = "<!-- end of the table -->\n"

COLUMNS = {
    "test_loads": "loads",
    "test_equals_reference": "equals transformers",
    "test_batch_independent": "alone as in a batch",
    "test_fused": "text and picture as one",
    "test_truncation": "long texts are cut",
    "test_shorter_vectors": "`dimension=`",
    "test_half_precision": "bfloat16",
    "test_onnx_export": "ONNX",
}
"""Headings by the names of the tests in ``test_columns.py``."""


def cell(column: str, architecture: Architecture) -> str:
    """What a test shows of an architecture."""
    if column == "test_half_precision":
        return f"cosine > {architecture.half:g}".replace("0.", ".")
    if column == "test_equals_reference":
        return architecture.beside
    if column == "test_fused" and not architecture.fused:
        return "–"
    if column == "test_onnx_export" and architecture.exported is not None:
        return "refused"
    return "yes"


def table() -> str:
    """The table, in Markdown."""
    rows = [
        ["architecture", *COLUMNS.values()],
        ["---"] * (len(COLUMNS) + 1),
        *(
            [name, *(cell(column, one) for column in COLUMNS)]
            for name, one in ARCHITECTURES.items()
        ),
    ]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def main() -> None:
    """Write the table into the page."""
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    PAGE.write_text(f"{before}{BEGIN}{table()}{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
