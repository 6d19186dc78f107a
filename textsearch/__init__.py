"""textsearch: sample and search text under an energy, built on pretrained language models.

What most programs need is imported from here; everything else from `textsearch.*`, `samplers` and `objectives`.

>>> from textsearch import Keywords, Length, MetropolisHastings, generate
>>> (Keywords(["dog", "park"]) + 0.5 * Length(mean=8, sd=2)).name
'keywords + length'
"""

from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING

from textsearch.run.generation import generate, generate_each, resume
from textsearch.run.partial import partial_result

if TYPE_CHECKING:
    from objectives import (
        Acrostic,
        Canonical,
        Choices,
        Classifier,
        Closeness,
        Coherence,
        Conditional,
        Consensus,
        Diversity,
        Fluency,
        FluencyPerToken,
        Forbidden,
        Grammar,
        JSONSchema,
        Keywords,
        Length,
        LengthBetween,
        Only,
        Pattern,
        Polarity,
        Prefix,
        Preserve,
        PseudoLikelihood,
        Repeats,
        Rhyme,
        Roles,
        Similarity,
        Suffix,
        Template,
        Verbatim,
        WholeWords,
        WordPreservation,
    )
    from samplers import (
        AdaptiveTemperature,
        AdaptiveWeightedRejection,
        AnnealedSMC,
        Cycle,
        DelayedAcceptance,
        Gibbs,
        ImportanceSampling,
        IteratedResampling,
        MaskedResampling,
        MetropolisHastings,
        MultipleTry,
        ParallelTempering,
        ParticleGibbs,
        Rejection,
        Restarts,
        RestartsWhenStuck,
        SimulatedAnnealing,
        Thinned,
    )
    from samplers.proposals import BlockInfill, InsertDelete, Replace, SpanEdit, Swap
    from textsearch.batch import Batch
    from textsearch.models import causal_lm, masked_lm, sentence_encoder, seq2seq_lm, text_classifier
    from textsearch.models.completions import completions_lm
    from textsearch.objective import Cost, FunctionObjective, Objective
    from textsearch.proposal import Move, Proposal
    from textsearch.result import Generations
    from textsearch.result.loading import load
    from textsearch.rng import Rng
    from textsearch.run.each import Answer
    from textsearch.run.loop import Progress
    from textsearch.run.until import Budget, Converged, Reached, Settled
    from textsearch.sampler import Guarantee, Info, Sampler
    from textsearch.schedule import constant, geometric, linear, logarithmic, piecewise
    from textsearch.tasks import ask, correct, force_words, infill, keywords, paraphrase, sample, stream, write
    from textsearch.tasks.pipelines import pipeline

__all__ = [
    "Acrostic",
    "AdaptiveTemperature",
    "AdaptiveWeightedRejection",
    "AnnealedSMC",
    "Answer",
    "Batch",
    "BlockInfill",
    "Budget",
    "Canonical",
    "Choices",
    "Classifier",
    "Closeness",
    "Coherence",
    "Conditional",
    "Consensus",
    "Converged",
    "Cost",
    "Cycle",
    "DelayedAcceptance",
    "Diversity",
    "Fluency",
    "FluencyPerToken",
    "Forbidden",
    "FunctionObjective",
    "Generations",
    "Gibbs",
    "Grammar",
    "Guarantee",
    "ImportanceSampling",
    "Info",
    "InsertDelete",
    "IteratedResampling",
    "JSONSchema",
    "Keywords",
    "Length",
    "LengthBetween",
    "MaskedResampling",
    "MetropolisHastings",
    "Move",
    "MultipleTry",
    "Objective",
    "Only",
    "ParallelTempering",
    "ParticleGibbs",
    "Pattern",
    "Polarity",
    "Prefix",
    "Preserve",
    "Progress",
    "Proposal",
    "PseudoLikelihood",
    "Reached",
    "Rejection",
    "Repeats",
    "Replace",
    "Restarts",
    "RestartsWhenStuck",
    "Rhyme",
    "Rng",
    "Roles",
    "Sampler",
    "Settled",
    "Similarity",
    "SimulatedAnnealing",
    "SpanEdit",
    "Suffix",
    "Swap",
    "Template",
    "Thinned",
    "Verbatim",
    "WholeWords",
    "WordPreservation",
    "ask",
    "causal_lm",
    "completions_lm",
    "constant",
    "correct",
    "force_words",
    "generate",
    "generate_each",
    "geometric",
    "infill",
    "keywords",
    "linear",
    "load",
    "logarithmic",
    "masked_lm",
    "paraphrase",
    "partial_result",
    "piecewise",
    "pipeline",
    "resume",
    "sample",
    "sentence_encoder",
    "seq2seq_lm",
    "stream",
    "text_classifier",
    "write",
]

_HOMES = {
    "objectives": (
        "Acrostic Canonical Choices Classifier Closeness Coherence Conditional Consensus Diversity Fluency "
        "FluencyPerToken Forbidden Grammar JSONSchema Keywords Length LengthBetween Only Pattern Polarity Prefix "
        "Preserve PseudoLikelihood Repeats Rhyme Roles Similarity Suffix Template Verbatim WholeWords WordPreservation"
    ),
    "samplers": (
        "AdaptiveTemperature AdaptiveWeightedRejection AnnealedSMC Cycle DelayedAcceptance Gibbs ImportanceSampling "
        "IteratedResampling MaskedResampling MetropolisHastings MultipleTry ParallelTempering ParticleGibbs Rejection "
        "Restarts RestartsWhenStuck SimulatedAnnealing Thinned"
    ),
    "samplers.proposals": "BlockInfill InsertDelete Replace SpanEdit Swap",
    "textsearch.batch": "Batch",
    "textsearch.models": "causal_lm masked_lm sentence_encoder seq2seq_lm text_classifier",
    "textsearch.models.completions": "completions_lm",
    "textsearch.objective": "Cost FunctionObjective Objective",
    "textsearch.proposal": "Move Proposal",
    "textsearch.result": "Generations",
    "textsearch.result.loading": "load",
    "textsearch.rng": "Rng",
    "textsearch.run.each": "Answer",
    "textsearch.run.loop": "Progress",
    "textsearch.run.until": "Budget Converged Reached Settled",
    "textsearch.sampler": "Guarantee Info Sampler",
    "textsearch.schedule": "constant geometric linear logarithmic piecewise",
    "textsearch.tasks": "ask correct force_words infill keywords paraphrase sample stream write",
    "textsearch.tasks.pipelines": "pipeline",
}
"""Where each name that is loaded when it is first used lies."""

_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}


def __getattr__(name: str) -> object:
    """Load a public name when it is first used: `import textsearch` stays far below the seconds that torch takes."""
    if name not in _HOME_OF:
        near = get_close_matches(name, __all__, 1)
        more = f"; did you mean {near[0]}?" if near else ""
        raise AttributeError(f"module 'textsearch' has no attribute {name!r}{more}")
    return getattr(import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
