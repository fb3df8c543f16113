"""Mini, the text and image encoder that ships inside UniSem: `model/README.md` describes it."""

from pathlib import Path

MODEL_DIRECTORY: Path = Path(__file__).parent / "model"
"""The sentence-transformers directory that `tools/build_mini.py` writes."""
FINGERPRINT = "87fc921ce1856f9d435bfa11d4dc7d0ab603df486344815d602f97a766ea4b86"
"""What `fingerprint_model` says of it, so that its weights need not be read to open a space."""
