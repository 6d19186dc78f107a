"""Words for the gaps of a text."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from os import PathLike
from typing import final

import torch
from torch import Tensor

from objectives import Fluency
from samplers import MetropolisHastings
from samplers.proposals import BlockInfill, Mixture, Replace, SpanEdit
from samplers.starts.fill import fill_masks
from textsearch import Generations
from textsearch.batch import Batch, Vocabulary, concatenate, every_token
from textsearch.calls import told
from textsearch.checks import MAX_TOKENS, strings
from textsearch.kinds import shown
from textsearch.models.constrained import ConstrainedMaskedLM
from textsearch.models.guided import GuidedMaskedLM
from textsearch.models.protocols import MaskedLM
from textsearch.models.reading.turns import remembered
from textsearch.models.rendered import gapped, rendered, unrendered
from textsearch.objective import Objective, evaluate
from textsearch.rng import input_numbers
from textsearch.run.loop import Callback, Rule
from textsearch.tasks import resolve as given
from textsearch.tasks.by_input import ByInput
from textsearch.tasks.gaps import Gapped, GapWords, beginning_with, gap_words, parts_of
from textsearch.tasks.in_script import gapped_texts, in_script
from textsearch.tasks.languages import language, pieces_of
from textsearch.tasks.met import LISTED, Met, listed, told_of
from textsearch.tasks.problem import MakeSampler, Models, Problem, answer
from textsearch.tasks.room import check_room
from textsearch.tasks.settings import Infilling
from textsearch.waiting import waiting

EDITS = {(1, 1): 0.5, (0, 1): 0.15, (1, 0): 0.15, (2, 2): 0.1, (1, 2): 0.05, (2, 1): 0.05}
"""How often so many words are replaced by so many, in texts with a gap of unknown length."""

LONGER = 4
"""Lengths of such a gap that chains start from, from the shortest on."""

_AT_ONCE = 256  # texts that are enumerated at a time
_KEPT = 1000  # texts of a chain that are kept on the way, about


@told
def infill(
    texts: Sequence[str],
    *,
    chains: int = Infilling.chains,
    steps: int = Infilling.steps,
    seed: int = Infilling.seed,
    temperature: float = Infilling.temperature,
    different: bool = Infilling.different,
    different_weight: float = Infilling.different_weight,
    gap: str | None = Infilling.gap,
    marks: bool = Infilling.marks,
    exact: bool = Infilling.exact,
    lang: str = Infilling.lang,
    script: str = Infilling.script,
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
    """Words for the gaps of a text, all else as it was written: `chains` chains for each text, in one run.

    The records of the result list the texts that the chains have met, the best first, each with its "probability" among
    them; with `exact`, among all texts that one token in the gap makes.

    Args:
        texts: with `[MASK]`, `<mask>` or `___` where a word is wanted, `[MASK*]` for one or more words, `[MASK{1,4}]`
            for one to four, `wal[MASK]` for one that begins so.
        chains: chains for each text.
        steps: of every chain.
        seed: the same seed gives the same texts.
        temperature: draws come from exp(-energy / temperature).
        different: draw the texts of an input together, so that they differ.
        different_weight: nats that two of them cost if they share all their words.
        gap: how a gap is written in the texts, in place of these.
        marks: whether a gap may be filled by a mark of punctuation too.
        exact: read every word that is one token of the masked model, in texts with one gap of one word, in place of
            chains. Takes minutes for a text, seconds where the beginning of the word is given.
        lang: "en" or "zh"; a gap is one character then.
        script: of what is new in a Chinese text: "simplified", "traditional" or "hongkong"; by default what the input
            is written in, "none" to convert nothing. What the input says comes back as it was typed.
        causal: judges the whole text and proposes; by default SmolLM2-135M-Instruct.
        masked: proposes; by default the one that comes with textsearch.
        sampler: made of the task's moves; by default `MetropolisHastings`.
        until: stop early; see `textsearch.run.until`.
        callbacks: each is called after every step with a `Progress`; the run stops once one returns True.
        progress: show what is being done on standard error.
        checkpoint: a folder that keeps the run, so that it can go on after it was broken off.
        every: seconds between two checkpoints.
        numbers: of the texts among all that there are, on which their random numbers rest: one of the same number is
            answered alike in every call. By default 0, 1, 2, ...

    Raises:
        ValueError: a text without a gap, or one too long for the models; a beginning that no word can be written with.
    """
    return answer(
        build,
        texts,
        Infilling(
            chains=chains,
            steps=steps,
            seed=seed,
            temperature=temperature,
            different=different,
            different_weight=different_weight,
            gap=gap,
            marks=marks,
            exact=exact,
            lang=lang,
            script=script,
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


@in_script(gapped_texts)
def build(
    texts: Sequence[str],
    settings: Infilling,
    models: Models,
    *,
    numbers: Sequence[int] | None = None,
    progress: bool = False,
) -> Problem:
    """The problem of `infill`: -log p of the whole text, from gaps filled by the masked model; see there."""
    texts = strings("texts", texts)
    if not texts:
        raise ValueError("texts is empty: pass at least one text")
    speech = language(settings.lang)
    given_texts = [parts_of(text, settings.gap, stems=bool(speech.space)) for text in texts]
    if settings.exact:
        check_single(given_texts)
    uses = ("score", "vocabulary", "next_log_probs")
    given.check(causal=models.causal, uses=uses)
    models = speech.filled(models, "causal", "masked", progress=progress)
    numbers = input_numbers(numbers, len(texts))
    mlm = given.masked(models.masked, progress)
    parts, stems = zip(*(one.masks(speech.space) for one in given_texts), strict=True)
    vocabulary, gaps = gapped(mlm.vocabulary, parts, stems, speech.space)
    for text, count in zip(texts, gaps.lengths.tolist(), strict=True):
        check_room(text, count)
    words = gap_words_of(given_texts, gaps)
    lm = given.causal(models.causal, progress, uses)
    guided: MaskedLM = GuidedMaskedLM(rendered(mlm, vocabulary), lm)
    if not settings.marks:
        guided = WordsOnly(guided, marks_of(unrendered(vocabulary)))
    free = [any(gap.low != gap.high for gap in one.gaps) for one in given_texts]
    objective: Objective = Fluency(lm)
    if any(free) or any(words.stems):
        objective = objective + words
    finish: Callable[[Generations], Generations] = partial(
        listed, texts=texts, temperature=settings.temperature, all_met=not settings.different
    )
    steps = settings.steps
    if settings.exact:
        with waiting("reading every word in the gap", progress), torch.inference_mode():
            start, finish = exactly(objective, gaps, words, settings, texts)
        steps = 0
    else:
        rows = concatenate([longer(gaps.rows([number]), words, settings.chains) for number in range(len(texts))])
        start = started(guided, rows, words, settings.seed, numbers)
        if any(free):
            start = closed(start, free)
    if any(words.stems):
        guided = ConstrainedMaskedLM(guided, words)
    pieces = pieces_of(vocabulary)
    same = Mixture({Replace(guided, pieces=pieces): 0.7, BlockInfill(guided, words=(2,), pieces=pieces): 0.3})
    return Problem(
        objective=objective,
        moves=ByInput([same, SpanEdit(guided, EDITS, pieces)], list(map(int, free))) if any(free) else same,
        sampler=lambda moves, steps: MetropolisHastings(moves),
        start=start,
        steps=steps,
        seed=settings.seed,
        temperature=settings.temperature,
        different=settings.different * settings.different_weight,
        numbers=numbers,
        # all texts that are met are told of
        thin=None if settings.exact else max(settings.steps // _KEPT, 1),
        finish=finish,
    )


def check_single(texts: Sequence[Gapped]) -> None:
    """Refuse texts of which not all fillings can be enumerated."""
    for one in texts:
        if len(one.gaps) > 1 or one.gaps[0].low != 1 or one.gaps[0].high != 1:
            raise ValueError(
                f"{shown(one.text)}: exact=True reads every word in one gap of one word, and this has more; "
                "without it draws tell the probabilities"
            )


def gap_words_of(texts: Sequence[Gapped], gaps: Batch) -> GapWords:
    """The constraint of all texts; `gaps` has their rows, with as many masks for each gap as it has words at least."""
    width = gaps.width + 1
    low = torch.zeros(len(texts), width, dtype=torch.int64)
    high = torch.zeros_like(low)
    stems: list[dict[tuple[int, int], str]] = []
    for number, one in enumerate(texts):
        places = list(gap_words(gaps, number))
        found: dict[tuple[int, int], str] = {}
        at = 0
        for gap in one.gaps:
            kept = places[at][0]
            low[number, kept] += gap.low
            high[number, kept] += gaps.vocabulary.size if gap.high is None else gap.high
            if gap.stem:
                found[places[at]] = gap.stem
            at += gap.low
        stems.append(found)
    return GapWords(low, high, stems)


def longer(row: Batch, words: GapWords, chains: int) -> Batch:
    """The row of an input once for each chain, gaps of unknown length by up to `LONGER` - 1 masks longer."""
    number = int(row.inputs)
    tokens, editable = row.token_lists()[0], row.editable[0].tolist()
    rows = []
    for chain in range(chains):
        own, kept = list[int](), 0
        for place, (token, is_open) in enumerate(zip(tokens, editable, strict=False)):
            own.append(token)
            kept += not is_open
            if is_open and (place + 1 == len(tokens) or not editable[place + 1]):
                room = int(words.high[number, kept] - words.low[number, kept])
                own += [row.vocabulary.mask_id] * (chain % min(LONGER, room + 1))
        rows.append(own[:MAX_TOKENS])
    made = Batch.of(rows, row.vocabulary)
    made = made.frozen(made.tokens != row.vocabulary.mask_id)
    return replace(made, inputs=torch.full_like(made.inputs, number))


def started(guided: MaskedLM, rows: Batch, words: GapWords, seed: int, numbers: Sequence[int] | None) -> Batch:
    """The rows with their masks filled, where the beginning of a word is given by one that begins so.

    If no token does, the beginning itself is the word.
    """
    if any(words.stems):
        rows = spelt_out(rows, words)
        # only what begins so is drawn
        guided = ConstrainedMaskedLM(guided, words, penalty=1e4)
    filled = fill_masks(guided, rows, seed, numbers)
    return replace(filled, editable=rows.editable)


def spelt_out(rows: Batch, words: GapWords) -> Batch:
    """The rows with a beginning that no token has written into its gap, in pieces."""
    vocabulary = unrendered(rows.vocabulary)
    begins = vocabulary.allowed & ~vocabulary.continues
    found, open_tokens = list[list[int]](), list[list[bool]]()
    for row in range(len(rows)):
        stems, own = words.stems[int(rows.inputs[row])], gap_words(rows, row)
        tokens, flags, kept, number = list[int](), list[bool](), 0, -1
        for token, is_open in zip(rows.token_lists()[row], rows.editable[row].tolist(), strict=False):
            kept, number = (kept, number + 1) if is_open else (kept + 1, -1)
            new = [token]
            if (stem := stems.get((kept, number))) is not None and is_open:
                fitting = beginning_with(vocabulary, stem) & begins
                if not bool(fitting.any()):
                    new = pieces_of_word(vocabulary, stem)
            tokens += new
            flags += [is_open] * len(new)
        assert own.keys() >= stems.keys()
        found.append(tokens)
        open_tokens.append(flags)
    made = Batch.of(found, rows.vocabulary)
    editable = [flags + [False] * (made.width - len(flags)) for flags in open_tokens]
    return replace(made, editable=torch.tensor(editable, dtype=torch.bool), inputs=rows.inputs)


def pieces_of_word(vocabulary: Vocabulary, stem: str) -> list[int]:
    """The tokens of a beginning as a word of its own.

    Raises:
        ValueError: the tokenizer cannot write it as one word.
    """
    try:
        batch = vocabulary.encode([stem])
    except ValueError as error:
        raise ValueError(f"no word that begins with {shown(stem)} can be written: {error}") from error
    tokens = batch.token_lists()[0]
    if int(batch.word_starts.sum()) != 1 or not bool(vocabulary.allowed[tokens].all()):
        raise ValueError(
            f"no word that begins with {shown(stem)} can be written: the tokenizer reads that as "
            f"{int(batch.word_starts.sum())} words"
        )
    return tokens


def closed(start: Batch, free: Sequence[bool]) -> Batch:
    """The rows of inputs with a gap of unknown length, with all slots closed but those of gaps."""
    fixed = ~start.editable & start.present
    column = torch.arange(start.width + 1, device=start.device)
    pad = torch.nn.functional.pad
    left, right = pad(fixed, (1, 0)) | (column == 0), pad(fixed, (0, 1)) | (column == start.lengths[:, None])
    mine = torch.tensor(free, device=start.device)[start.inputs]
    return start.closing(left & right & mine[:, None] & (column <= start.lengths[:, None]))


def exactly(
    objective: Objective, gaps: Batch, words: GapWords, settings: Infilling, texts: Sequence[str]
) -> tuple[Batch, Callable[[Generations], Generations]]:
    """The best texts of each input, of all that one token makes, and what lists them with their probabilities."""
    vocabulary = unrendered(gaps.vocabulary)
    fitting = vocabulary.allowed & ~vocabulary.continues
    if not settings.marks:
        fitting &= ~marks_of(vocabulary)
    tops, lists = list[Batch](), list[list[Met]]()
    for number, text in enumerate(texts):
        own = fitting
        for stem in words.stems[number].values():
            own = own & beginning_with(vocabulary, stem)
        tokens = own.nonzero().flatten()
        if len(tokens) == 0:
            stem = next(iter(words.stems[number].values()))
            raise ValueError(
                f"{shown(text)}: no single token of the masked model begins with {shown(stem)}, so there is nothing to "
                "enumerate: leave exact out"
            )
        place = gaps.editable[number].nonzero()[0].expand(len(tokens))
        every = gaps.rows(torch.full_like(tokens, number)).with_tokens(place, tokens)
        parts = [
            evaluate(objective, every.rows(rows)).energy for rows in torch.split(torch.arange(len(tokens)), _AT_ONCE)
        ]
        energies = torch.cat(parts)
        order = energies.argsort(stable=True)[: int(energies.isfinite().sum())]
        shares = (-energies / settings.temperature).softmax(0)
        names = every.rows(order[:LISTED]).texts()
        best = zip(names, energies[order].tolist(), shares[order].tolist(), strict=False)
        lists.append([Met(name, energy, {"fluency": energy}, share) for name, energy, share in best])
        tops.append(every.rows(order[torch.arange(settings.chains) % len(order)]))
    return concatenate(tops), partial(told_of, met=lists, texts=texts)


@final
@dataclass(frozen=True, eq=False)
class WordsOnly:
    """A masked language model that begins no word with a mark of punctuation.

    Attributes:
        mlm: the masked language model.
        marks: (V,) bool, tokens that begin a word and are none; see `marks_of`.
    """

    mlm: MaskedLM
    marks: Tensor

    @property
    def vocabulary(self) -> Vocabulary:
        """That of the model."""
        return self.mlm.vocabulary

    def log_probs(self, batch: Batch, rows: Tensor, positions: Tensor) -> Tensor:
        """(K, V) float64 log-probabilities at `positions` (K,) of `rows` (K,)."""
        own = self.mlm.log_probs(batch, rows, positions).to(torch.float64)
        return own.masked_fill(self.marks.to(own.device), -math.inf).log_softmax(-1)


# a stream of texts asks the same vocabulary with every group
@remembered(most=4)
def marks_of(vocabulary: Vocabulary) -> Tensor:
    """(V,) bool, tokens that begin a word, but not with a letter or a number."""
    begins = vocabulary.allowed & ~vocabulary.continues
    return torch.tensor([not text.strip()[:1].isalnum() for text in every_token(vocabulary).texts()]) & begins
