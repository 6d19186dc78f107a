"""Objectives: energies of texts, E(x) = -log rho(x); `a + 5.0 * b` is an objective too."""

from objectives.fluency import Fluency, FluencyPerToken
from objectives.keywords import Keywords
from objectives.length import Length, LengthBetween
from objectives.pattern import Pattern
from objectives.pseudo_likelihood import PseudoLikelihood

__all__ = ["Fluency", "FluencyPerToken", "Keywords", "Length", "LengthBetween", "Pattern", "PseudoLikelihood"]
