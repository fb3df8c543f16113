"""What makes scores of texts and of pictures comparable: means, hub biases, scales."""

from unisem.calibration.artefact import load_calibration, save_calibration
from unisem.calibration.calibration import (
    EXTRA,
    AskedVector,
    Calibration,
    Choices,
    PairChoice,
)
from unisem.calibration.few_words import FewWords
from unisem.calibration.fitting import fit_calibration
from unisem.calibration.kinds import DocumentKind, QueryKind
from unisem.calibration.sample import Sample
from unisem.calibration.scale import Scale

__all__ = [
    "EXTRA",
    "AskedVector",
    "Calibration",
    "Choices",
    "DocumentKind",
    "FewWords",
    "PairChoice",
    "QueryKind",
    "Sample",
    "Scale",
    "fit_calibration",
    "load_calibration",
    "save_calibration",
]
