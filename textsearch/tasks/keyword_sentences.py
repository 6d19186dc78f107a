"""Sentences from keywords."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from os import PathLike
from typing import Any

import torch

from objectives import Fluency, Keywords, Pattern, WholeWords, Wishes, ngram_likeness
from objectives.conditional import Conditional
from objectives.keywords import words
from samplers import MetropolisHastings, SimulatedAnnealing
from samplers.proposals import Mixture, SpanEdit, Swap
from samplers.starts.apart import apart
from samplers.starts.drafts import best_of, one_sentence
from samplers.starts.woven import woven
from textsearch import Batch, Generations
from textsearch.batch import Vocabulary, concatenate
from textsearch.calls import told
from textsearch.checks import MAX_TOKENS, string_lists
from textsearch.kinds import shown
from textsearch.models.guided import GuidedMaskedLM
from textsearch.models.protocols import InstructedLM, TaskLM, asked
from textsearch.objective import Objective, evaluate
from textsearch.proposal import Proposal
from textsearch.rng import input_numbers
from textsearch.run.loop import Callback, Rule
from textsearch.sampler import Sampler
from textsearch.schedule import geometric
from textsearch.tasks import resolve as given
from textsearch.tasks.constraints.base import check_phrases
from textsearch.tasks.copied import told_of_copies
from textsearch.tasks.in_script import in_script, keyword_sets
from textsearch.tasks.languages import ENGLISH, Language, language, pieces_of
from textsearch.tasks.lists import Sentences, check_sentences
from textsearch.tasks.problem import MakeSampler, Models, Problem, answer
from textsearch.tasks.prompts import KEYWORDS
from textsearch.tasks.room import tokens_of
from textsearch.tasks.sentences import marked
from textsearch.tasks.settings import KeywordSentences
from textsearch.tasks.starts.prototypes import prototypes
from textsearch.tasks.unprompted import CUT_OUT, unprompted
from textsearch.tasks.wishes import Wanted, wanted
from textsearch.tasks.written import as_written, letter_by_letter, with_forms
from textsearch.waiting import note, waiting

COLD = 0.2
"""The temperature that the default sampler ends at, in units of the run's."""

DRAFT_TEMPERATURE = 0.7
"""Of the tokens of the drafts that chains start from."""

_WAVE = 16  # drafts that are written at once
_AGAIN = 3  # drafts that are cut and written on again
_FORMS = 12  # spellings of one missing keyword that are tried


def request(lm: InstructedLM, words: Sequence[str], lang: str = "en") -> str:
    """The prompt that asks `lm` for a sentence with the words."""
    own = KEYWORDS[lang]
    return lm.ask(own.before + own.joint.join(words), own.turns())


def energy(
    lm: TaskLM,
    sets: Sequence[Sequence[str]],
    *,
    inflections: bool = True,
    in_order: bool = False,
    prompts: Sequence[str] | None = None,
    speech: Language = ENGLISH,
) -> Objective:
    """-log p(x | request) - log p(x), and +inf where a word is missing or x is not one sentence.

    Where no spaces are written, 5 nats besides for each keyword that is cut out of another word. `prompts` are the
    requests, by default for the words of each set.
    """
    prompts = [request(lm, words, speech.code) for words in sets] if prompts is None else prompts
    constraint = Keywords(sets, inflections=inflections and speech.inflects, in_order=in_order)
    total = Conditional(lm, prompts) + Fluency(lm) + one_sentence_each(constraint, speech) + constraint
    return total + CUT_OUT * WholeWords(sets, speech.segment) if speech.segment else total


def wishes_of(sets: Sequence[Wanted], *, inflections: bool) -> Wishes | None:
    """What the wishes of all sets cost that a sentence leaves out; None where there are none."""
    return Wishes(tuple(own.wishes for own in sets), inflections) if any(own.wishes for own in sets) else None


def as_asked(own: Wanted) -> str:
    """A set in one line.

    >>> as_asked(Wanted(("dog",), {"frisbee": 15.0}))
    'dog, frisbee?'
    """
    return ", ".join([*own.keywords, *(f"{word}?" for word in own.all[len(own.keywords) :])])


def told_as(result: Generations, *, sets: Sequence[str]) -> Generations:
    """The result with the sets as its sources."""
    return replace(result, sources=list(sets))


def one_sentence_each(constraint: Keywords, speech: Language = ENGLISH) -> Pattern:
    """Each text is one sentence with an end; the marks that its own keywords hold do not end it."""
    kept = kept_whole(constraint, speech)
    return Pattern([speech.sentence(own) for own in kept] if any(kept) else speech.sentence())


def kept_whole(constraint: Keywords, speech: Language = ENGLISH) -> list[str]:
    """For each input a regular expression of the keywords that no sentence ends inside."""
    return [marked(map(constraint.forms, own), speech.ends) for own in constraint.keywords]


def check_sentence(keywords: Sequence[str]) -> None:
    """Refuse more keywords than a sentence has room for.

    >>> check_sentence(["a a"] * 32)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    ValueError: ['a a', 'a a', 'a a', 'a a', 'a a', 'a a', ...] has 64 words, above the limit of 63 in one sentence: ...
    """
    check_phrases("the set of keywords", keywords)
    count = len(words(" ".join(keywords)))
    if count > MAX_TOKENS - 1:
        raise ValueError(
            f"{shown(list(keywords))} has {count:,} words, above the limit of {MAX_TOKENS - 1} in one sentence: "
            "name fewer"
        )


def annealed(moves: Proposal, steps: int) -> Sampler[Any]:
    """The default sampler: Metropolis-Hastings, cooled."""
    return SimulatedAnnealing(MetropolisHastings(moves), geometric(1.0, COLD, max(steps, 1)))


@told
def keywords(
    sets: Sequence[Sequence[str]],
    *,
    chains: int = KeywordSentences.chains,
    steps: int = KeywordSentences.steps,
    seed: int = KeywordSentences.seed,
    temperature: float = KeywordSentences.temperature,
    different: bool = KeywordSentences.different,
    different_weight: float = KeywordSentences.different_weight,
    inflections: bool = KeywordSentences.inflections,
    in_order: bool = KeywordSentences.in_order,
    lang: str = KeywordSentences.lang,
    script: str = KeywordSentences.script,
    drafts: int = KeywordSentences.drafts,
    sentences: Sentences = KeywordSentences.sentences,
    causal: given.Causal = None,
    masked: given.Masked = None,
    sampler: MakeSampler | None = None,
    until: Rule | None = None,
    callbacks: Sequence[Callback] = (),
    progress: bool = False,
    checkpoint: str | PathLike[str] | None = None,
    every: float = 60.0,
    numbers: Sequence[int] | None = None,
) -> Generations:
    """Sentences that hold all words of a set, in any order: `chains` chains for each set, in one run.

    Args:
        sets: the words and phrases of each sentence; `"frisbee?"` is a wish, which a sentence may leave out at a price,
            `"frisbee?30"` one at a price of 30 nats.
        chains: chains for each set.
        steps: of every chain.
        seed: the same seed gives the same sentences.
        temperature: in whose units the default sampler cools; of the draws of another one.
        different: draw the texts of a set together, so that they differ.
        different_weight: nats that two of them cost if they share all their words.
        inflections: dog is found in dogs too.
        in_order: the words must come in the order given.
        lang: "en" or "zh"; with a Chinese model that takes no requests see `textsearch.tasks.unprompted`.
        script: of what is new in a Chinese text: "simplified", "traditional" or "hongkong"; by default what the input
            is written in, "none" to convert nothing. What the input says comes back as it was typed.
        drafts: written for each set in waves of 16, all but the first from beginnings of the best so far; the best of
            all start its chains.
        sentences: yours, or a file with one a line. Those that hold some of the words are changed to hold all, and are
            drafts too; with a model that takes no requests the chains start from them. A note tells what was copied.
        causal: judges, writes drafts and proposes; by default SmolLM2-135M-Instruct.
        masked: proposes; by default the one that comes with textsearch.
        sampler: made of the task's moves; by default they are annealed, which is a search. `MetropolisHastings` draws.
        until: stop early; see `textsearch.run.until`.
        callbacks: each is called after every step with a `Progress`; the run stops once one returns True.
        progress: show what is being done on standard error.
        checkpoint: a folder that keeps the run, so that it can go on after it was broken off.
        every: seconds between two checkpoints.
        numbers: of the sets among all that there are, on which their random numbers rest: one of the same number is
            answered alike in every call. By default 0, 1, 2, ...

    Raises:
        ValueError: a set that no sentence can hold, or one with nothing in it.
    """
    return answer(
        build,
        sets,
        KeywordSentences(
            chains=chains,
            steps=steps,
            seed=seed,
            temperature=temperature,
            different=different,
            different_weight=different_weight,
            inflections=inflections,
            in_order=in_order,
            lang=lang,
            script=script,
            drafts=drafts,
            sentences=sentences,
        ),
        Models(causal=causal, masked=masked),
        sampler=sampler,
        until=until,
        callbacks=callbacks,
        progress=progress,
        checkpoint=checkpoint,
        every=every,
        numbers=numbers,
    )


@in_script(keyword_sets)
def build(
    sets: Sequence[Sequence[str]],
    settings: KeywordSentences,
    models: Models,
    *,
    numbers: Sequence[int] | None = None,
    progress: bool = False,
) -> Problem:
    """The problem of `keywords`; writes the drafts that its chains start from."""
    asked_for = [wanted(own) for own in string_lists("sets", sets, "words", "sentence")]
    sets, every = [own.keywords for own in asked_for], [own.all for own in asked_for]
    chains, seed, drafts = settings.chains, settings.seed, settings.drafts
    different = settings.different * settings.different_weight
    speech = language(settings.lang)
    uses: tuple[str, ...] = ("score", "vocabulary", "next_log_probs")
    uses += ("ask", "draw_suffixes") if speech is ENGLISH else ()
    given.check(causal=models.causal, uses=uses)
    models = speech.filled(models, "causal", "masked", progress=progress)
    numbers = input_numbers(numbers, len(sets))
    constraint = Keywords(sets, inflections=settings.inflections and speech.inflects, in_order=settings.in_order)
    for one in every:
        check_sentence(one)
    spellings = [with_forms(words) if constraint.inflections else words for words in every]
    mlm = as_written(given.masked(models.masked, progress), spellings)
    vocabulary = mlm.vocabulary
    constraint.check(vocabulary.encode([speech.stop] * len(sets)))
    exact = letter_by_letter(vocabulary, sets, inflections=constraint.inflections)
    _check_last_resort(sets, speech, one_sentence_each(constraint, speech) + constraint, vocabulary)
    lm = given.causal(models.causal, progress, uses)
    shown_as = partial(told_as, sets=[as_asked(own) for own in asked_for])
    if speech is not ENGLISH and not (hasattr(lm, "draw_suffixes") and asked(lm, speech.stop)):
        problem = unprompted(sets, speech, lm, mlm, settings, numbers=numbers, progress=progress)
        also = wishes_of(asked_for, inflections=False)
        return problem if also is None else replace(problem, objective=problem.objective + also, finish=shown_as)
    inflections, in_order = constraint.inflections, constraint.in_order
    prompts = [request(lm, words, speech.code) for words in every]
    objective = energy(lm, sets, inflections=inflections, in_order=in_order, prompts=prompts, speech=speech)
    wishes = wishes_of(asked_for, inflections=inflections)
    objective = objective if wishes is None else objective + wishes
    objective = objective if exact is None else objective + exact

    kept = kept_whole(constraint, speech)
    sizes = lm.vocabulary.encode([" ".join(words) for words in every]).lengths.tolist()
    weave = partial(
        woven,
        lm,
        prompts,
        temperature=DRAFT_TEMPERATURE,
        numbers=numbers,
        max_tokens=[
            min(32 + max(4 * len(words), size), MAX_TOKENS + size // 4)
            for words, size in zip(every, sizes, strict=True)
        ],
        finish=lambda text, number: one_sentence(text, kept[number]),
        space=speech.space,
    )
    prototyped = check_sentences(settings.sentences)
    with waiting("writing drafts", progress) as say:
        first, *others = waves(drafts)
        # the first wave has the wishes woven in too: whether they are worth it the energy says
        lacks = partial(missing_wishes, asked_for, constraint, lm.vocabulary, space=speech.space)
        texts = weave(lacks, count=first, seed=seed, report=say)
        for wave, count in enumerate(others, 1):
            best = [best_of(own, i, objective, vocabulary, _AGAIN, MAX_TOKENS).texts() for i, own in enumerate(texts)]
            more = weave(
                partial(missing, constraint, lm.vocabulary, space=speech.space),
                count=count,
                seed=seed,
                again=best,
                wave=wave,
                report=lambda far: say(f"wave {wave + 1}, from beginnings of the best: {far}"),  # noqa: B023
            )
            texts = [[*own, *new] for own, new in zip(texts, more, strict=True)]
        if prototyped:
            hard = one_sentence_each(constraint, speech) + constraint
            changed = prototypes(sets, prototyped, speech, lm, hard, vocabulary, count=chains, progress=progress)
            texts = [[*own, *batch.texts()] for own, batch in zip(texts, changed, strict=True)]
        starts = []
        for number, own in enumerate(texts):
            rows = best_of(own, number, objective, vocabulary, len(own), MAX_TOKENS)
            if len(rows) == 0:
                note(
                    f"no draft holds all of {', '.join(sets[number])}: the chains start from these words alone",
                    progress,
                )
                rows = bare(sets[number], number, vocabulary, speech)
            starts.append(apart(rows, evaluate(objective, rows).energy, chains, ngram_likeness, different))
    start = concatenate(starts)

    guided = GuidedMaskedLM(mlm, lm, prompts)
    return Problem(
        objective=objective,
        # one table of edits, so that all chains share each pass of the models
        moves=Mixture({SpanEdit(guided, speech.edits, pieces_of(vocabulary)): 0.95, Swap(vocabulary): 0.05}),
        sampler=annealed,
        # the final full stop stays
        start=start.frozen(torch.arange(start.width) >= start.lengths[:, None] - 1),
        steps=settings.steps,
        seed=seed,
        temperature=settings.temperature,
        different=different,
        numbers=numbers,
        finish=lambda result: shown_as(told_of_copies(result, prototyped, progress)),
    )


def waves(drafts: int) -> list[int]:
    """How many drafts are written at a time: the first ones anew, each other wave from beginnings of the best so far.

    A second look at what is good is worth more than a wider first one: see docs/results/first_sentence.md.

    >>> waves(1), waves(5), waves(32), waves(50)
    ([1], [3, 2], [16, 16], [16, 16, 16, 2])
    """
    found = [min(drafts - drafts // 2, _WAVE)]
    while (left := drafts - sum(found)) > 0:
        found.append(min(left, _WAVE))
    return found


def missing(constraint: Keywords, vocabulary: Vocabulary, text: str, number: int, space: str = " ") -> list[str]:
    """Spellings of the keywords that a text for input `number` lacks; in order, of the next one only."""
    batch = vocabulary.encode([text])
    held: list[str] = []
    lacking: list[str] = []
    for keyword in constraint.keywords[number]:
        wanted = Keywords([*held, keyword], in_order=constraint.in_order, inflections=constraint.inflections)
        if bool(wanted.energy(batch) == 0):
            held.append(keyword)
        elif not (lacking and constraint.in_order):
            lacking.append(keyword)
    return list(dict.fromkeys(itertools.chain(*(spellings(constraint, keyword, space) for keyword in lacking))))


def missing_wishes(
    sets: Sequence[Wanted], constraint: Keywords, vocabulary: Vocabulary, text: str, number: int, space: str = " "
) -> list[str]:
    """The same; where no keyword lacks, spellings of the wishes that do."""
    lacking = missing(constraint, vocabulary, text, number, space)
    if lacking or not sets[number].wishes:
        return lacking
    batch = vocabulary.encode([text])
    apart = (Keywords([wish], inflections=constraint.inflections) for wish in sets[number].wishes)
    left = [one.keywords[0][0] for one in apart if not bool(one.energy(batch) == 0)]
    return list(dict.fromkeys(itertools.chain(*(spellings(constraint, wish, space) for wish in left))))


def spellings(constraint: Keywords, keyword: str, space: str = " ") -> list[str]:
    """Ways to write a keyword: as it was given, and its forms, in small letters and with capitals."""
    forms = itertools.islice(itertools.product(*map(sorted, constraint.forms(keyword))), _FORMS)
    written = [space.join(words) for words in forms]
    return [keyword, *written, *(words.title() for words in written)]


def bare_text(keywords: Sequence[str], speech: Language = ENGLISH) -> str:
    """The keywords in their order, with an end."""
    text = speech.space.join(keywords)
    return text if text.endswith(tuple(speech.ends)) else text + speech.stop


def bare(keywords: Sequence[str], number: int, vocabulary: Vocabulary, speech: Language = ENGLISH) -> Batch:
    """The start of last resort: these as one text."""
    start = vocabulary.encode([bare_text(keywords, speech)])
    return replace(start, inputs=torch.full_like(start.inputs, number))


def _check_last_resort(
    sets: Sequence[Sequence[str]], speech: Language, hard: Objective, vocabulary: Vocabulary
) -> None:
    """Refuse a set whose words, one after another, are no text that its own constraints allow and moves can edit."""
    for number, keywords in enumerate(sets):
        tokens_of(bare_text(keywords, speech), vocabulary, remedy="name fewer keywords")
        start = bare(keywords, number, vocabulary, speech)
        if not bool(hard.energy(start).isfinite()):
            raise ValueError(
                f"{shown(list(keywords))}: no sentence can hold these, since the tokenizer gives them back as "
                f"{shown(start.texts()[0])}; spell them otherwise"
            )
