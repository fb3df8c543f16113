"""What makes scores of texts and of pictures comparable: means, hub biases, scales."""

from typing import TYPE_CHECKING

from unisem.common.lazy import lazy_names

if TYPE_CHECKING:
    from unisem.calibration.artefact import load_calibration as load_calibration
    from unisem.calibration.artefact import save_calibration as save_calibration
    from unisem.calibration.calibration import EXTRA as EXTRA
    from unisem.calibration.calibration import AskedVector as AskedVector
    from unisem.calibration.calibration import Calibration as Calibration
    from unisem.calibration.calibration import Choices as Choices
    from unisem.calibration.calibration import PairChoice as PairChoice
    from unisem.calibration.few_words import FewWords as FewWords
    from unisem.calibration.fitting import fit_calibration as fit_calibration
    from unisem.calibration.kinds import DocumentKind as DocumentKind
    from unisem.calibration.kinds import QueryKind as QueryKind
    from unisem.calibration.sample import Sample as Sample
    from unisem.calibration.scale import Scale as Scale

__getattr__, __dir__, __all__ = lazy_names(__name__)
