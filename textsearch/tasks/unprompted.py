"""Sentences from keywords by models that take no requests: what `keywords` does without an instruct model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import torch

from objectives import Fluency, Keywords, Length, Pattern, PseudoLikelihood, Repeats, WholeWords
from samplers import MetropolisHastings, SimulatedAnnealing
from samplers.proposals import SpanEdit
from textsearch.batch import Batch, Vocabulary, concatenate
from textsearch.models.guided import GuidedMaskedLM
from textsearch.models.protocols import MaskedLM, TaskLM
from textsearch.objective import FunctionObjective, Objective
from textsearch.schedule import geometric
from textsearch.tasks.copied import told_of_copies
from textsearch.tasks.languages import LANGUAGES, Language, pieces_of
from textsearch.tasks.lists import check_sentences
from textsearch.tasks.problem import Problem
from textsearch.tasks.sentences import marked
from textsearch.tasks.settings import KeywordSentences
from textsearch.tasks.starts.bridges import bridges
from textsearch.tasks.starts.prototypes import prototypes
from textsearch.waiting import waiting

COLD = 0.3
"""The temperature at the end: a weak causal model's own draws are no sentences, its likeliest texts often are."""

BOTH_SIDES = 0.5
"""The masked model's share of the energy: without it annealed sentences repeat themselves."""


CUT_OUT = 5.0
"""Nats that a keyword costs which is a part of another word."""

VERBLESS = 8.0
"""Nats that a list or a phrase costs, in which nothing is said of anything."""

CLOSE, LOOSE = 1.5, 5.0
"""Standard deviations of the length, in words: of what is written anew, and of what the user has and is changed."""


def energy(
    sets: Sequence[Sequence[str]],
    language: Language,
    lm: TaskLM,
    mlm: MaskedLM,
    *,
    lengths: Sequence[int],
    in_order: bool = False,
    both_sides: float = 0.0,
    sd: float = CLOSE,
) -> Objective:
    """E(x) = -(1 - b) log p(x) - b log c(x) + (n - length)^2 / (2 sd^2) + 3 r + 5 k + 8 v.

    p is the causal model, c(x) the product of the masked model's conditionals, b = `both_sides`, n the number of words,
    r of pairs of neighbouring words that come again, k of keywords cut out of other words, v whether x lacks a verb.
    +inf where a keyword is missing or x is not one sentence.
    """
    constraint = Keywords(sets, in_order=in_order, freeze_tokens=True)
    kept = [marked(map(constraint.forms, own), language.ends) for own in sets]
    form = constraint + Pattern([language.sentence(own) for own in kept]) + Length(lengths, sd=sd)
    form = form + 3.0 * Repeats()
    if language.segment:
        form = form + CUT_OUT * WholeWords(sets, language.segment)
    if language.says_something:
        form = form + VERBLESS * FunctionObjective(partial(_verbless, language.code), name="verbless")
    if not both_sides:
        return Fluency(lm) + form
    return (1 - both_sides) * Fluency(lm) + both_sides * PseudoLikelihood(mlm) + form


def _verbless(code: str, texts: Sequence[str]) -> list[float]:
    """1 for each text in which nothing is said of anything, else 0."""
    says_something = LANGUAGES[code].says_something
    return [float(says_something is not None and not says_something(text)) for text in texts]


def usual_lengths(sets: Sequence[Sequence[str]], vocabulary: Vocabulary) -> list[int]:
    """Words of a sentence for each set: those of the keywords, and a dozen to say something about them."""
    batches = [vocabulary.encode(words) for words in sets]
    return [12 + int(batch.word_starts.sum()) for batch in batches]


def unprompted(
    sets: Sequence[Sequence[str]],
    language: Language,
    lm: TaskLM,
    mlm: MaskedLM,
    settings: KeywordSentences,
    *,
    numbers: Sequence[int] | None = None,
    length: int | None = None,
    both_sides: float | None = None,
    cold: float = COLD,
    progress: bool = False,
) -> Problem:
    """Bridges from keyword to keyword, or changed sentences of the user, annealed by Metropolis-Hastings.

    The keywords stay where the start has them among themselves: other orders come from other chains. Where
    the user has sentences all is cold from the first step on, since their form is worth keeping.

    Args:
        sets: the words of each sentence.
        language: what a sentence is, and how it changes.
        lm: judges, and proposes.
        mlm: proposes, and judges too if `both_sides` is not 0.
        settings: chains, steps, seed, temperature at the first step, and whether the words come in the order given.
        numbers: of the sets among all that there are, on which their random numbers rest: one of the same number is
            answered alike in every call. By default 0, 1, 2, ...
        length: words of a sentence, about; by default 12 more than the keywords have. Characters, in Chinese.
        both_sides: share of the masked model in the energy, from 0 to 1; it takes a pass for every word of a text that
            the causal model alone does not rule out. By default a half, and none where the user has sentences: it was
            seen to take what they say apart for what it expects more.
        cold: the temperature at the end, in units of that at the first step.
        progress: show what is being done on standard error.
    """
    vocabulary, in_order = mlm.vocabulary, settings.in_order
    prototyped = check_sentences(settings.sentences)
    if both_sides is None:
        both_sides = 0.0 if prototyped else BOTH_SIDES
    Keywords(sets).check(vocabulary.encode([language.stop] * len(sets)))
    lengths = [length or usual for usual in usual_lengths(sets, vocabulary)]
    sd = LOOSE if prototyped else CLOSE
    judged = partial(energy, sets, language, lm, mlm, lengths=lengths, in_order=in_order, sd=sd)
    quick = judged()
    guided = GuidedMaskedLM(mlm, lm)
    with waiting("writing bridges between the keywords", progress):
        start = bridges(
            guided,
            sets,
            lengths,
            quick,
            language,
            chains=settings.chains,
            seed=settings.seed,
            numbers=numbers,
            in_order=in_order,
        )
    if prototyped:
        with waiting("looking for sentences to change", progress):
            own = prototypes(
                sets,
                prototyped,
                language,
                lm,
                quick,
                vocabulary,
                lengths=lengths,
                count=settings.chains,
                progress=progress,
            )
            start = _in_place_of(start, own, settings.chains)
    hot = cold if prototyped else 1.0
    return Problem(
        objective=judged(both_sides=both_sides),
        moves=SpanEdit(guided, language.edits, pieces_of(vocabulary)),
        sampler=lambda moves, steps: SimulatedAnnealing(MetropolisHastings(moves), geometric(hot, cold, max(steps, 1))),
        # the end of the sentence stays
        start=start.frozen(torch.arange(start.width) >= start.lengths[:, None] - 1),
        steps=settings.steps,
        seed=settings.seed,
        temperature=settings.temperature,
        different=settings.different * settings.different_weight,
        numbers=numbers,
        finish=lambda result: replace(
            told_of_copies(result, prototyped, progress), sources=[", ".join(words) for words in sets]
        ),
    )


def _in_place_of(start: Batch, own: Sequence[Batch], chains: int) -> Batch:
    """The starts, those of each input by its own ones as far as they go."""
    rows = []
    for number, batch in enumerate(own):
        rest = (start.inputs == number).nonzero().flatten()[: chains - len(batch)]
        rows += [batch, start.rows(rest)]
    return concatenate([batch for batch in rows if len(batch)])
