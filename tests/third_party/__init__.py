"""Defects of other libraries, beside what UniSem does: run with ``pytest -m third_party``."""
