"""Paraphrases: the same meaning in other words."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from os import PathLike
from typing import Any

import regex
import torch

from objectives import (
    AsFluentAs,
    Brevity,
    Consensus,
    Diversity,
    FluencyPerToken,
    InputEmbeddings,
    Polarity,
    Preserve,
    Roles,
    Similarity,
    Verbatim,
    WordPreservation,
    ngram_likeness,
)
from objectives.diversity import plain_words
from objectives.verbatim import places_of
from samplers import MetropolisHastings, SimulatedAnnealing
from samplers.proposals import Copy, Mixture, SpanEdit, Swap
from samplers.starts.apart import apart
from textsearch.batch import Batch, Vocabulary, concatenate
from textsearch.calls import told
from textsearch.checks import MAX_TOKENS, strings
from textsearch.kinds import shown
from textsearch.language.literals import Keep, Kept, opening, whole
from textsearch.language.surface import Spellings, capitals_of
from textsearch.models.protocols import CausalLM, EmbeddingLM, MaskedLM, TaskLM, asked
from textsearch.models.rendered import CasingVocabulary, SpellingVocabulary, rendered
from textsearch.objective import Objective
from textsearch.proposal import Proposal
from textsearch.result import Generations
from textsearch.rng import Rng, input_numbers
from textsearch.run.loop import Callback, Rule
from textsearch.sampler import Sampler
from textsearch.schedule import geometric
from textsearch.tasks import resolve as given
from textsearch.tasks.in_script import in_script, sentences
from textsearch.tasks.languages import language, pieces_of
from textsearch.tasks.problem import MakeSampler, Models, Problem, answer
from textsearch.tasks.prompts import QUESTIONS, STATEMENTS
from textsearch.tasks.room import check_texts
from textsearch.tasks.settings import Paraphrasing, Weights
from textsearch.waiting import waiting

EDITS = {(1, 1): 0.4, (0, 1): 0.15, (1, 0): 0.15, (2, 2): 0.1, (1, 2): 0.1, (2, 1): 0.1}
"""How often so many words are replaced by so many."""

_MARKS = frozenset(".?!,;:…？。！，；：")

_ROUNDING = 1e-3
"""Nats a token by which a text may be less likely than the draft that it is nearest to."""

_LEAST_LIKELY = 1e3
"""Nats a token that no text has but one of probability 0."""

HEAT = 0.8
"""Temperature of the drafts' tokens."""


_ASKING = regex.compile(
    r"""(?:(?:who|whom|whose|which|how|why)\b|what\s(?!an?\b)|(?:when|where)(?:\s|'s\s)?(?:HELPS)\b|when's\b|where's\b
    |(?:HELPS)(?:n['’]t)?\s+(?:not\s+)?(?:i|you|he|she|it|we|they|there|this|that|these|those|my|your|his|our|their|the
    |any|anyone|anybody|someone|everyone|people)\b)""".replace(
        "HELPS", "is|are|was|were|am|do|does|did|has|have|had|can|could|will|would|shall|should|may|might|must"
    ),
    regex.IGNORECASE | regex.VERBOSE,
)


def asks(text: str) -> bool:
    """Whether the text is a question, with a mark or in its form only.

    >>> [asks(text) for text in ("where is it", "Can you come", "You can come?", "What a day", "When I came he left")]
    [True, True, True, False, False]
    """
    text = text.strip()
    return text.endswith(("?", "？")) or (text[-1:].isalnum() and _ASKING.match(text) is not None)


def request(lm: CausalLM, text: str, lang: str = "en") -> str:
    """The prompt that asks `lm` for a paraphrase; empty for a model that takes no requests."""
    own = (QUESTIONS if asks(text) else STATEMENTS)[lang]
    return asked(lm, own.before + text, own.turns()) or ""


def annealed(moves: Proposal, steps: int) -> Sampler[Any]:
    """The default sampler: Metropolis-Hastings from temperature .5 down to .05."""
    return SimulatedAnnealing(MetropolisHastings(moves), geometric(0.5, 0.05, max(steps, 1)))


@told
def paraphrase(
    texts: Sequence[str],
    *,
    chains: int = Paraphrasing.chains,
    steps: int = Paraphrasing.steps,
    seed: int = Paraphrasing.seed,
    temperature: float = Paraphrasing.temperature,
    different: bool = Paraphrasing.different,
    different_weight: float = Paraphrasing.different_weight,
    weights: Weights = Paraphrasing.weights,
    keep: Keep = Paraphrasing.keep,
    meaning: bool = Paraphrasing.meaning,
    pool: int = Paraphrasing.pool,
    lang: str = Paraphrasing.lang,
    script: str = Paraphrasing.script,
    causal: given.Causal = None,
    masked: given.Masked = None,
    encoder: given.Encoder = None,
    sampler: MakeSampler | None = None,
    until: Rule | None = None,
    callbacks: Sequence[Callback] = (),
    progress: bool = False,
    checkpoint: str | PathLike[str] | None = None,
    every: float = 60.0,
    numbers: Sequence[int] | None = None,
) -> Generations:
    """The texts in other words: `chains` chains for each, in one run.

    The energy of a paraphrase x of s in nats, with drafts r that the causal model wrote::

        similarity * (1 - cos(x, s)) - preservation * log(keywords kept) - diversity * log(1 - BLEU(x, s))
        + brevity * max(0, words of s / words of x - 1) + consensus * (1 - E_r BLEU(x, r))
        + fluency * max(0, -log p(x | request) - tokens of x * nats a token of the draft that is nearest to x)
        + polarity * denying words changed + roles * words that changed places around a verb
        + numbers * numbers changed

    and +inf for a text that lacks a literal of s.

    Args:
        texts: to be paraphrased, one sentence or so each.
        chains: chains for each text.
        steps: of every chain.
        seed: the same seed gives the same paraphrases.
        temperature: draws come from exp(-energy / temperature), which the default sampler cools down.
        different: draw the texts of a text as one set that keeps apart, so that they differ.
        different_weight: nats that two of them cost if they share all their words.
        weights: of the terms.
        keep: keep, letter by letter, addresses, handles, code, names of files, numbers with their units and marks of
            markdown, wherever they go; a list of words, or the name of a file with one a line, is kept besides. See
            `textsearch.language.literals`.
        meaning: keep denials (`Polarity`), numbers (`Preserve`), and who does what to whom (`Roles`), in English.
        pool: drafts written for each text; the chains start from the best of them.
        lang: "en" or "zh"; a word is one character then.
        script: of what is new in a Chinese text: "simplified", "traditional" or "hongkong"; by default what the input
            is written in, "none" to convert nothing. What the input says comes back as it was typed.
        causal: judges and writes drafts, if it takes requests; by default SmolLM2-135M-Instruct.
        masked: proposes; by default the one that comes with textsearch.
        encoder: compares meanings; by default all-MiniLM-L6-v2.
        sampler: made of the task's moves; by default annealed Metropolis-Hastings.
        until: stop early; see `textsearch.run.until`.
        callbacks: each is called after every step with a `Progress`; the run stops once one returns True.
        progress: show what is being done on standard error.
        checkpoint: a folder that keeps the run, so that it can go on after it was broken off.
        every: seconds between two checkpoints.
        numbers: of the texts among all that there are, on which their random numbers rest: one of the same number is
            answered alike in every call. By default 0, 1, 2, ...

    Raises:
        ValueError: no texts, one without words, one that the masked model's tokenizer cannot write, or a file of words
            that cannot be read.
    """
    return answer(
        build,
        texts,
        Paraphrasing(
            chains=chains,
            steps=steps,
            seed=seed,
            temperature=temperature,
            different=different,
            different_weight=different_weight,
            weights=weights,
            keep=keep,
            meaning=meaning,
            pool=pool,
            lang=lang,
            script=script,
        ),
        Models(causal=causal, masked=masked, encoder=encoder),
        sampler=sampler,
        until=until,
        callbacks=callbacks,
        progress=progress,
        checkpoint=checkpoint,
        every=every,
        numbers=numbers,
    )


@in_script(sentences)
def build(
    texts: Sequence[str],
    settings: Paraphrasing,
    models: Models,
    *,
    numbers: Sequence[int] | None = None,
    progress: bool = False,
) -> Problem:
    """The problem of `paraphrase`; writes the drafts that its energy and its starts rest on."""
    texts = strings("texts", texts)
    if not texts:
        raise ValueError("texts is empty: pass at least one text")
    kept = Kept.of(settings.keep, chinese=settings.lang == "zh")
    # white space around a text, and marks of markdown that it begins with, are put around its paraphrases again
    heads = [opening(text) if kept.on else text[: len(text) - len(text.lstrip())] for text in texts]
    tails = [text[len(text.rstrip()) :] for text in texts]
    bodies = [text[len(head) :].rstrip() for text, head in zip(texts, heads, strict=True)]
    for text, body in zip(texts, bodies, strict=True):
        if not plain_words(body):
            raise ValueError(f"{text!r} has no words: give each text at least one")
    lang, weights = settings.lang, settings.weights
    different = settings.different * settings.different_weight
    numbers = input_numbers(numbers, len(texts))
    drafts_too = ("vocabulary", "continuations") if hasattr(models.causal, "ask") else ()
    given.check(causal=models.causal, uses=("score", *drafts_too))
    models = language(lang).filled(models, "causal", "masked", "encoder", progress=progress)
    mlm = given.masked(models.masked, progress)
    if lang != "en" and settings.script != "none":
        bodies = [given_back(body, mlm.vocabulary) for body in bodies]
    literals = [whole(body, kept.spans(body)) for body in bodies]
    # a sentence without its mark gets it for the time of the run: models read it as it is meant, and none is added
    marks = ["" if lang != "en" or not text[-1].isalnum() else "?" if asks(text) else "." for text in bodies]
    ended = [text + mark for text, mark in zip(bodies, marks, strict=True)]
    check_texts(ended, mlm.vocabulary)
    verbatim = Verbatim([[phrase for phrase, *_ in places_of(*own)] for own in zip(ended, literals, strict=True)])
    mlm = cased(mlm, ended, literals)
    check_kept(ended, mlm.vocabulary, verbatim)
    lm, vectors = given.causal(models.causal, progress), given.encoder(models.encoder, progress)
    # vectors of words: a masked model that has none leaves them to the encoder
    words = InputEmbeddings(mlm) if isinstance(mlm, EmbeddingLM) else vectors
    with waiting("writing drafts", progress), torch.inference_mode():
        source = mlm.vocabulary.encode(ended)
        prompts = [request(lm, text, lang) for text in source.texts()]
        lines = drafted(lm, prompts, source, settings.pool, settings.seed, numbers)
        # the causal model knows names: it tells which words at the beginning of a text are some
        mlm = cased(mlm, ended, literals, lines)
        vocabulary = mlm.vocabulary
        source = vocabulary.encode(ended)
        sources = source.texts()
        meaning: Objective = weights.similarity * Similarity(vectors, sources, sharpness=1.0)
        if lang == "en" and settings.meaning:
            meaning = meaning + weights.polarity * Polarity(sources) + weights.roles * Roles(sources)
            meaning = meaning + weights.numbers * Preserve(sources, kinds=["number"])
        if any(literals):
            meaning = meaning + verbatim
        drafts = written(lines, source, verbatim)
        # drawn from p(x | request), they stand with these weights for p(x | request) exp(-meaning)
        shares = [(energy.min() - energy).exp().tolist() for energy in map(meaning.energy, drafts)]
        cheap = (
            meaning
            + weights.preservation * WordPreservation(words, sources)
            + weights.diversity * Diversity(sources)
            + weights.brevity * Brevity(sources)
            + weights.consensus * Consensus([batch.texts() for batch in drafts], shares)
        )
        pools = [concatenate([batch, source.rows([number])]) for number, batch in enumerate(drafts)]
        # a draft that the model cannot write, once it has its source's mark, is no level
        nats = FluencyPerToken(lm, prompts).energy(concatenate(pools)).clamp(max=_LEAST_LIKELY) + _ROUNDING
        levels = [own.tolist() for own in torch.split(nats, [len(batch) for batch in pools])]
        fluent = AsFluentAs([batch.texts() for batch in pools], levels, lm, prompts)
        start = concatenate(
            [apart(batch, cheap.energy(batch), settings.chains, ngram_likeness, different) for batch in pools]
        )
    # the mark at the end stays
    last = torch.arange(start.width) >= start.lengths[:, None] - 1
    pieces = pieces_of(vocabulary)
    moves: dict[Proposal, float] = {
        SpanEdit(mlm, EDITS, pieces): 0.6,
        Copy(mlm, [copied(batch.texts(), own) for batch, own in zip(pools, literals, strict=True)], pieces=pieces): 0.3,
        Swap(vocabulary): 0.1,
    }
    return Problem(
        objective=cheap + weights.fluency * fluent,
        moves=Mixture(moves),
        sampler=annealed,
        start=start.frozen(last & torch.tensor([not text[-1].isalnum() for text in start.texts()])[:, None]),
        steps=settings.steps,
        seed=settings.seed,
        temperature=settings.temperature,
        different=different,
        numbers=numbers,
        finish=partial(as_given, texts=texts, heads=heads, marks=marks, tails=tails),
    )


def as_given(
    result: Generations,
    *,
    texts: Sequence[str],
    heads: Sequence[str],
    marks: Sequence[str],
    tails: Sequence[str],
) -> Generations:
    """The result without the marks that sentences had for the time of the run, between what stands around the texts."""
    own = [
        [
            heads[number] + text.removesuffix(marks[number]) + tails[number]
            for text, number in zip(found, result.inputs, strict=True)
        ]
        for found in (result.texts, result.best_texts)
    ]
    return replace(result, texts=own[0], best_texts=own[1], sources=list(texts))


def cased(
    mlm: MaskedLM,
    texts: Sequence[str],
    literals: Sequence[Sequence[str]],
    drafts: Sequence[Sequence[str]] = (),
) -> MaskedLM:
    """The model with a vocabulary that writes the literals of each text as they are, and its words with its capitals.

    Args:
        mlm: the model.
        texts: as they were written.
        literals: of each text.
        drafts: for each text; they tell which words at its beginning are names.
    """
    words = mlm.vocabulary
    if not isinstance(words, SpellingVocabulary):
        return mlm
    spellings: list[Spellings] = [words.spelling(own, as_written=True) for own in literals]
    if isinstance(words, CasingVocabulary) and words.wordpiece and words.lower_cases:
        others = drafts or [()] * len(texts)
        spellings = [
            {(plain,): word for plain, word in capitals_of(text, own, words.plain).items()} | dict(spelt)
            for text, own, spelt in zip(texts, others, spellings, strict=True)
        ]
    # also where nothing is spelt: a text must not feel whether another one of the call has literals
    return rendered(mlm, words.rendering(spellings=tuple(spellings)))


def given_back(text: str, vocabulary: Vocabulary) -> str:
    """The text as the vocabulary gives it back, if it loses nothing but white space: `Typed` shows what was typed."""
    try:
        read = vocabulary.encode([text]).texts()[0]
    except ValueError:  # told where the text is checked
        return text
    return read if read.split() and "".join(read.split()) == "".join(text.split()) else text


def check_kept(texts: Sequence[str], vocabulary: Vocabulary, verbatim: Verbatim) -> None:
    """Refuse a text whose literals the vocabulary does not give back letter by letter."""
    batch = vocabulary.encode(texts)
    for number, (text, energy) in enumerate(zip(batch.texts(), verbatim.energy(batch).tolist(), strict=True)):
        if energy:
            raise ValueError(
                f"{shown(texts[number])} has a literal that the tokenizer of the masked model does not give back: it "
                f"reads {shown(text)}; pass keep=False, or a masked model whose tokenizer loses nothing"
            )


def copied(texts: Sequence[str], literals: Sequence[str]) -> str:
    """The texts, a line each, whose words may be copied: without their literals, of which nobody wants a part.

    >>> copied(["Write to me@x.org today", "me@x.org"], ["me@x.org"])
    'Write to  today\\nme@x.org'
    """
    lines = []
    for text in texts:
        kept, end = "", 0
        for _, start, stop in places_of(text, literals):
            kept, end = kept + text[end:start], stop
        kept += text[end:]
        lines.append(kept if plain_words(kept) else text)
    return "\n".join(lines)


def drafted(
    lm: TaskLM,
    prompts: Sequence[str],
    source: Batch,
    pool: int,
    seed: int,
    numbers: Sequence[int] | None = None,
) -> list[list[str]]:
    """For each source the first lines of its drafts that have its form: of a question those that ask."""
    texts = source.texts()
    if not any(prompts):
        return [[] for _ in texts]
    room = [8 + 2 * length for length in lm.vocabulary.encode(texts).lengths.tolist()]
    owners = [number for number, prompt in enumerate(prompts) if prompt for _ in range(pool)]
    found = lm.continuations(
        [prompts[number] for number in owners],
        Rng.of(seed, torch.tensor(owners, dtype=torch.int64), numbers, purpose="paraphrase drafts"),
        temperature=HEAT,
        top_p=0.95,
        most=[room[number] for number in owners],
    )
    lines: list[list[str]] = [[] for _ in texts]
    for number, draft in zip(owners, found, strict=True):
        line = draft.strip().split("\n")[0].strip()
        if plain_words(line) and line.endswith(("?", "？")) == asks(texts[number]):
            lines[number].append(line)
    return lines


def ending(line: str, end: str) -> str:
    """A draft with the mark at its end that its source has; as it is if the source ends with none.

    >>> ending("Is it true!", "?"), ending("Think of this:", ":"), ending("So it is.", ""), ending("At 4 p.m.", ".")
    ('Is it true?', 'Think of this:', 'So it is.', 'At 4 p.m.')
    """
    return line if line.endswith(end) else line.rstrip("".join(_MARKS) + " ") + end


def written(lines: Sequence[Sequence[str]], source: Batch, verbatim: Verbatim) -> list[Batch]:
    """For each source its drafts that the vocabulary can write and that have its literals; itself if there are none.

    Each ends with the mark that its source ends with.
    """
    texts = source.texts()
    batches = []
    for number, own in enumerate(lines):
        end = texts[number][-1] if texts[number][-1] in _MARKS else ""
        rows = []
        for line in own:
            with suppress(ValueError):
                row = source.vocabulary.encode([ending(line, end)])
                row = replace(row, inputs=torch.full_like(row.inputs, number))
                # a longer one could not be edited
                rows += [row] if row.width <= MAX_TOKENS and not verbatim.energy(row).any() else []
        batches.append(concatenate(rows or [source.rows([number])]))
    return batches
