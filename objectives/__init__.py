"""Objectives: energies of texts, E(x) = -log rho(x); `a + 5.0 * b` is an objective too."""

from objectives.acrostic import Acrostic
from objectives.affixes import Prefix, Suffix
from objectives.answered import Answered
from objectives.as_fluent_as import AsFluentAs
from objectives.brevity import Brevity
from objectives.canonical import Canonical
from objectives.character_channel import CharacterChannel
from objectives.choices import Choices
from objectives.classifier import Classifier
from objectives.closeness import Closeness
from objectives.coherence import Coherence
from objectives.conditional import Conditional
from objectives.consensus import Consensus
from objectives.couplet import Couplet
from objectives.diversity import Diversity
from objectives.fluency import Fluency, FluencyPerToken
from objectives.forbidden import Forbidden
from objectives.grammar import Grammar
from objectives.in_place import InPlace
from objectives.json_schema import JSONSchema
from objectives.keywords import Keywords
from objectives.length import Length, LengthBetween
from objectives.likeness import VectorLikeness, ngram_likeness
from objectives.only import Only
from objectives.parallel_speech import ParallelSpeech
from objectives.pattern import Pattern
from objectives.polarity import Polarity
from objectives.preserve import Preserve
from objectives.pseudo_likelihood import PseudoLikelihood
from objectives.repeats import Repeats
from objectives.rhyme import Rhyme
from objectives.roles import Roles
from objectives.similarity import Similarity
from objectives.template import Template
from objectives.unmasked import UnmaskedLikelihood
from objectives.verbatim import Verbatim
from objectives.whole_words import WholeWords
from objectives.wishes import Wishes
from objectives.word_preservation import InputEmbeddings, WordPreservation

__all__ = [
    "Acrostic",
    "Answered",
    "AsFluentAs",
    "Brevity",
    "Canonical",
    "CharacterChannel",
    "Choices",
    "Classifier",
    "Closeness",
    "Coherence",
    "Conditional",
    "Consensus",
    "Couplet",
    "Diversity",
    "Fluency",
    "FluencyPerToken",
    "Forbidden",
    "Grammar",
    "InPlace",
    "InputEmbeddings",
    "JSONSchema",
    "Keywords",
    "Length",
    "LengthBetween",
    "Only",
    "ParallelSpeech",
    "Pattern",
    "Polarity",
    "Prefix",
    "Preserve",
    "PseudoLikelihood",
    "Repeats",
    "Rhyme",
    "Roles",
    "Similarity",
    "Suffix",
    "Template",
    "UnmaskedLikelihood",
    "VectorLikeness",
    "Verbatim",
    "WholeWords",
    "Wishes",
    "WordPreservation",
    "ngram_likeness",
]
