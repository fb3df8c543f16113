"""Mini, the text and image encoder that ships inside UniSem: `model/README.md` describes it."""

from pathlib import Path

MODEL_DIRECTORY: Path = Path(__file__).parent / "model"
"""The sentence-transformers directory that `tools/build_mini.py` writes."""
