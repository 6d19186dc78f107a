"""Frames: the words of a text that a request fixes, and the conditions on each of the others.

A start for a chain under hard constraints: fixed parts, required words and the letters of an acrostic are laid out
first, and a masked language model fills in the rest, each word among those that may stand there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import final

import numpy as np
import regex
import torch
from torch import Tensor

from objectives.template import Gap
from objectives.text_features import is_mark
from objectives.word_sites import TokenWords
from samplers.proposals.sites import masks
from textsearch.batch import Batch, Vocabulary, every_token
from textsearch.checks import MAX_TOKENS
from textsearch.language.surface import join_words, spelt
from textsearch.models.byte_level import MASK
from textsearch.models.protocols import MaskedLM
from textsearch.models.rendered import keeps_texts
from textsearch.rng import Rng, categorical
from textsearch.tasks.constraints.base import Rules, WordRule
from textsearch.tasks.constraints.layouts import Fixed, Layout, least_words, max_words, missing, surface_words
from textsearch.tasks.request import Request
from textsearch.tasks.written import phrases_of

SHARP = 0.5
"""Temperature of the words that fill a frame."""

_TRIES = 200
_HAN = regex.compile(r"\p{Han}")


@final
@dataclass(frozen=True)
class Slot:
    """A place for a word.

    Attributes:
        word: what stands there; empty where a word is to be chosen.
        rules: what a word that is chosen must be like.
    """

    word: str = ""
    rules: tuple[WordRule, ...] = ()

    def takes(self, word: str) -> bool:
        """Whether the slot is free for this word."""
        return not self.word and all(rule.holds(word.casefold()) for rule in self.rules)


def layout_numbers(seed: int, number: int, attempt: int) -> np.random.Generator:
    """The random numbers that lay out the frames of an input; each `attempt` has its own."""
    return Rng.start(seed, 1, number=number, purpose="layouts").at(attempt).generator()


def frame(request: Request, rng: np.random.Generator) -> list[Slot] | None:
    """One way to lay out a text for the request, drawn at random; None where none was found.

    >>> slots = frame(Request(template="The *{2} ran to the *{1}"), np.random.default_rng(0))
    >>> " ".join(slot.word or "_" for slot in slots)
    'The _ _ ran to the _'
    """
    for constraint, value in request.constraints():
        hinted = constraint.hinted(value, request, rng)
        request = request if hinted is None else hinted
    layouts = request.layouts()
    rules = [own for _, own in request.rules_by_name()]
    at = places_of(rules)
    last = tuple(own.last for own in rules if own.last)
    for _ in range(_TRIES):
        layout = layouts[int(rng.integers(len(layouts)))]
        lacking = missing(request.required, layout)
        count = len(at) or _word_count(request, layout, sum(map(len, lacking)), rng)
        slots = next(_filled(layout, count, at, rng), None)
        if slots is None:
            continue
        if last:
            slots = _ending(slots, last)
        if slots is not None and all(_place(phrase, slots, rng) for phrase in sorted(lacking, key=len, reverse=True)):
            return slots
    return None


def places_of(rules: Sequence[Rules]) -> list[tuple[WordRule, ...]]:
    """The rules of each word in order; none where there may be any number of words.

    Where two constraints want different numbers of words, none of their texts can be laid out: the rules of the longer
    are kept, of which the others see the beginning.
    """
    count = max((len(own.at) for own in rules), default=0)
    return [tuple(own.at[place] for own in rules if place < len(own.at)) for place in range(count)]


def _word_count(request: Request, layout: Layout, lacking: int, rng: np.random.Generator) -> int:
    """How many words a text may have, drawn from what bounds and gaps leave open."""
    gaps = [part for part in layout if isinstance(part, Gap)]
    least, most = least_words(layout), max_words(layout)
    least = max(least, least - sum(gap.low for gap in gaps) + lacking)
    low, high = request.words or (0, None)
    if request.words is None and request.characters is not None:
        # English words have between 4 and 7 characters with the space behind them, Chinese ones count as one
        size = 1 if _HAN.search(str(request)) else 5
        shortest, longest = request.characters
        low, high = shortest // (size + 2), None if longest is None else max(longest // size, 1)
    low = max(low, least)
    room = 8 if len(gaps) == 1 else 3 * len(gaps)
    ends = [end for end in (most, high) if end is not None]
    high = min(ends) if ends else max(low, least + room, 5)
    high = min(high, MAX_TOKENS - 1)
    return int(rng.integers(min(low, high), high + 1))


def _filled(
    layout: Sequence[Fixed | Gap],
    count: int,
    at: Sequence[tuple[WordRule, ...]],
    rng: np.random.Generator,
    done: tuple[Slot, ...] = (),
    dead: set[tuple[int, int]] | None = None,
) -> Iterator[list[Slot]]:
    """The layouts with gaps of such lengths that there are `count` words, each as `at` wants it, in random order."""
    dead = set() if dead is None else dead  # (parts left, words so far) that came to nothing
    here = sum(not is_mark(slot.word) if slot.word else True for slot in done)
    state = len(layout), here
    if state in dead:
        return
    found = 0
    for slots in _filled_here(layout, count, at, rng, done, dead, here):
        found += 1
        yield slots
    if not found:
        dead.add(state)


def _filled_here(
    layout: Sequence[Fixed | Gap],
    count: int,
    at: Sequence[tuple[WordRule, ...]],
    rng: np.random.Generator,
    done: tuple[Slot, ...],
    dead: set[tuple[int, int]],
    here: int,
) -> Iterator[list[Slot]]:
    if not layout:
        if here == count:
            yield list(done)
        return
    head, rest = layout[0], layout[1:]
    if not isinstance(head, Gap):
        for word in head:
            if not is_mark(word):
                if at and (here >= len(at) or not all(rule.holds(word.casefold()) for rule in at[here])):
                    return
                here += 1
        yield from _filled(rest, count, at, rng, (*done, *map(Slot, head)), dead)
        return
    later = least_words(list(rest))
    longest = count - here - later
    for size in rng.permutation(np.arange(head.low, min(longest, head.high if head.high is not None else longest) + 1)):
        gap = tuple(Slot(rules=at[here + i] if at else ()) for i in range(int(size)))
        yield from _filled(rest, count, at, rng, (*done, *gap), dead)


def _ending(slots: list[Slot], rules: tuple[WordRule, ...]) -> list[Slot] | None:
    """The slots with a last word that must keep the rules; None if the last word is fixed and does not."""
    place = max(i for i, slot in enumerate(slots) if not (slot.word and is_mark(slot.word)))
    last = slots[place]
    if last.word:
        return slots if all(rule.holds(last.word.casefold()) for rule in rules) else None
    return [*slots[:place], replace(last, rules=(*last.rules, *rules)), *slots[place + 1 :]]


def _place(phrase: Fixed, slots: list[Slot], rng: np.random.Generator) -> bool:
    """Put a phrase into free slots that follow one another; whether there were any."""
    size = len(phrase)
    starts = [
        start
        for start in range(len(slots) - size + 1)
        if all(slot.takes(word) for slot, word in zip(slots[start : start + size], phrase, strict=True))
    ]
    if not starts:
        return False
    start = starts[int(rng.integers(len(starts)))]
    slots[start : start + size] = [replace(slot, word=word) for slot, word in zip(slots[start:], phrase, strict=False)]
    return True


@final
@dataclass(frozen=True, eq=False)
class Lexicon:
    """The words that are a single token, and which of them may stand in a slot.

    Attributes:
        vocabulary: of the model that fills the slots.
    """

    vocabulary: Vocabulary
    _known: dict[tuple[WordRule, ...], Tensor] = field(default_factory=dict, repr=False)

    @property
    def words(self) -> tuple[str, ...]:
        """V words by token, case folded; empty for marks, pieces and what no proposal may write."""
        return TokenWords.of(self.vocabulary).words

    @cached_property
    def chinese(self) -> bool:
        """Whether most words are Chinese characters; BERT's Chinese vocabulary has as many pieces that are no words."""
        words = [word for word in self.words if word]
        return 2 * sum(bool(_HAN.match(word)) for word in words) > len(words)

    @cached_property
    def begins(self) -> Tensor:
        """(V,) bool, the tokens that a text may begin with: with a capital, where the vocabulary keeps them."""
        if not keeps_texts(self.vocabulary):
            return torch.ones(len(self.words), dtype=torch.bool)
        return torch.tensor([not text[:1].islower() for text in every_token(self.vocabulary).texts()])

    def allowed(self, rules: tuple[WordRule, ...]) -> Tensor:
        """(V,) bool, the words that keep all rules."""
        if rules not in self._known:
            self._known[rules] = torch.tensor(
                [
                    bool(word)
                    # letters are words of the vocabulary, but hardly of the language
                    and (len(word) > 1 or word in {"a", "i"} or bool(_HAN.match(word)))
                    and all(rule.holds(word) for rule in rules)
                    for word in self.words
                ]
            )
        return self._known[rules]


def fill(
    mlm: MaskedLM,
    lexicon: Lexicon,
    frames: Sequence[tuple[int, Request, list[Slot]]],
    seed: int,
    numbers: Sequence[int],
    attempt: int,
) -> list[tuple[int, str]]:
    """(input, text) for each (input, request, frame), its open slots filled from left to right.

    A frame with a slot that no single token can fill gives no text. `numbers` are those of the inputs among all that
    there are; each `attempt` draws afresh.
    """
    vocabulary = mlm.vocabulary
    possible = [
        (number, request, slots)
        for number, request, slots in frames
        if all(slot.word or bool(_choices(lexicon, request, slot).any()) for slot in slots)
    ]
    if not possible:
        return []
    rows = [_tokens(vocabulary, slots, lexicon.chinese, phrases_of(request)) for _, request, slots in possible]
    batch = replace(Batch.of(rows, vocabulary), inputs=torch.tensor([number for number, _, _ in possible]))
    rng = Rng.of(seed, batch.inputs, numbers, purpose="frames").at(attempt)
    waiting = [[slot for slot in slots if not slot.word] for _, _, slots in possible]
    with torch.inference_mode():
        for draw in range(max(map(len, waiting))):
            open_masks = masks(batch)
            row = open_masks.any(1).nonzero().squeeze(-1)
            place = open_masks.to(torch.int64).argmax(1)[row]
            log_probs = mlm.log_probs(batch, row, place).to(torch.float64)
            allowed = torch.stack([_choices(lexicon, possible[i][1], waiting[i][draw]) for i in row.tolist()])
            capital = allowed & (lexicon.begins | (place > 0)[:, None])
            allowed = torch.where(capital.any(1, keepdim=True), capital, allowed)
            drawn = categorical((log_probs / SHARP).masked_fill(~allowed, -math.inf), rng.rows(row).uniform(draw))
            tokens = batch.tokens.clone()
            tokens[row, place] = drawn
            batch = replace(batch, tokens=tokens)
    return list(zip(batch.inputs.tolist(), batch.texts(), strict=True))


def _choices(lexicon: Lexicon, request: Request, slot: Slot) -> Tensor:
    every = tuple(own.every for _, own in request.rules_by_name() if own.every)
    return lexicon.allowed((*slot.rules, *every))


def _tokens(vocabulary: Vocabulary, slots: Sequence[Slot], chinese: bool, phrases: Sequence[str]) -> list[int]:
    """The fixed words as tokens, masks between them, and a full stop where there is no end."""
    end = [] if slots[-1].word and is_mark(slots[-1].word) else [Slot("。" if chinese else ".")]
    if keeps_texts(vocabulary):
        words = [slot.word or MASK for slot in [*slots, *end]]
        text = join_words([word for word, _ in spelt(words, {surface_words(phrase): phrase for phrase in phrases})])
        return vocabulary.encode([text]).token_lists()[0]
    row: list[int] = []
    for slot in [*slots, *end]:
        row += vocabulary.encode([slot.word]).token_lists()[0] if slot.word else [vocabulary.mask_id]
    return row
