"""Adversarial alignment of captions and pictures; when it helps: `docs/measured/adversarial.md`."""

from unisem.training.adversarial.collapse import ModeCollapseWarning
from unisem.training.adversarial.discriminator import Discriminator
from unisem.training.adversarial.gradient_reversal import GradientReversal, reversal_strength
from unisem.training.adversarial.reversal import AdversarialReversal
from unisem.training.adversarial.translation import AdversarialTranslation
from unisem.training.adversarial.translator import Translator

__all__ = [
    "AdversarialReversal",
    "AdversarialTranslation",
    "Discriminator",
    "GradientReversal",
    "ModeCollapseWarning",
    "Translator",
    "reversal_strength",
]
