"""Starts for a run without texts: the terms outline a text, the sampler's masked language model writes it.

The start of a chain is a function of the seed, the number of its input and its own, as all that comes after: some
texts are laid out and filled in for each chain, and the one of the lowest energy is taken. What an outline leaves open
the energy decides, so hard terms that have none are met too, if that can be by luck.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from textsearch.batch import Batch, Vocabulary, concatenate
from textsearch.kinds import MASKED
from textsearch.models.protocols import MaskedLM
from textsearch.objective import Objective, evaluate, outline_of, term_names
from textsearch.outline import Fixed, Outline, Room
from textsearch.rng import Rng, categorical, input_numbers
from textsearch.sampler import Sampler

TRIED, ROUNDS = 8, 8
"""Texts for each chain in one round, and rounds at most; later rounds are for the chains that still have none."""

SHARP = 0.5
"""Temperature of the words that are filled in."""

_MORE = (4, 8)  # words beyond those that are fixed, where nothing bounds them
_STOPPED, _COUNTED = 0.9, 0.45  # shares of the layouts with a full stop, and of those where it counts as a word
_BLOCK = 32  # chains whose texts are written together: all words of the vocabulary are looked at for each
_MAX_INPUTS = 2**20
_LAYOUT, _FILL = range(2)  # streams


def starts(
    objective: Objective,
    sampler: Sampler[Any],
    *,
    chains: int,
    seed: int,
    numbers: Sequence[int] | None = None,
) -> Batch:
    """`chains` rows for each input that the terms know of, texts that they allow.

    Raises:
        ValueError: the sampler holds no masked language model, or no text was found that the terms allow.
    """
    model = writer(sampler)
    if model is None:
        raise ValueError(
            f"{type(sampler).__name__} holds no masked language model that could write texts to start from: pass some, "
            'generate(objective, sampler, ["The dog ran."], ...)'
        )
    vocabulary = model.vocabulary
    inputs = torch.arange(inputs_of(objective, vocabulary)).repeat_interleave(chains)
    outlines = [outline_of(objective, number) for number in range(int(inputs[-1]) + 1)]
    streams = Rng.of(seed, inputs, input_numbers(numbers, len(outlines)), purpose="starts")
    found: dict[int, Batch] = {}
    refused: Counter[str] = Counter()
    with torch.inference_mode():
        for attempt in range(ROUNDS):
            needy = [row for row in range(len(inputs)) if row not in found]
            for rows in (needy[first : first + _BLOCK] for first in range(0, len(needy), _BLOCK)):
                texts = _written(model, [outlines[int(inputs[row])] for row in rows], streams.rows(rows).at(attempt))
                best = _best(objective, texts, inputs[rows], refused)
                found |= {row: text for row, text in zip(rows, best, strict=True) if text is not None}
    if lacking := [row for row in range(len(inputs)) if row not in found]:
        who = ", ".join(f"{name} {count} times" for name, count in refused.most_common(3))
        raise ValueError(
            f"no text to start from was found for input {int(inputs[lacking[0]])}: of {refused.total()} that were "
            f"tried none is allowed ({who}); pass starting texts, generate(objective, sampler, [...], ...), or loosen "
            "a term"
        )
    return concatenate(found[row] for row in range(len(inputs))).narrow()


def writer(sampler: Sampler[Any]) -> MaskedLM | None:
    """The first masked language model among the parts of a sampler that writes the sampler's tokens."""
    for part in _parts(sampler):
        if MASKED.of(part) and part.vocabulary is sampler.vocabulary:
            model: MaskedLM = part
            return model
    return None


def _parts(value: Any) -> Iterator[Any]:
    """A value and all that it is made of, through the fields of dataclasses and the items of tuples and mappings."""
    yield value
    if isinstance(value, tuple | list | Mapping):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _parts(item)
    elif is_dataclass(value) and not isinstance(value, type) and not MASKED.of(value):
        for each in fields(value):
            yield from _parts(getattr(value, each.name))


def inputs_of(objective: Objective, vocabulary: Vocabulary) -> int:
    """How many inputs the terms have values for; 1 where they say the same of all."""
    any_text = Batch.of([[vocabulary.mask_id]], vocabulary)

    def check(number: int) -> None:
        objective.check(replace(any_text, inputs=torch.tensor([number])))

    def knows(number: int) -> bool:
        try:
            check(number)
        except ValueError:
            return False
        return True

    check(0)
    if knows(_MAX_INPUTS):
        return 1
    known, unknown = 0, 1
    while knows(unknown):
        known, unknown = unknown, 2 * unknown
    while unknown - known > 1:
        middle = (known + unknown) // 2
        known, unknown = (middle, unknown) if knows(middle) else (known, middle)
    return unknown


def layout(outline: Outline, rng: np.random.Generator) -> list[str | None]:
    """One way to lay out a text, drawn at random: its fixed words, and None for each word that is to be written.

    >>> layout(Outline((("The",), Room(2, 2), ("home.",))), np.random.default_rng(0))
    ['The', None, None, 'home.']
    """
    rooms = {place: part for place, part in enumerate(outline.parts) if isinstance(part, Room)}
    fixed = {place: [_one_of(part, rng)] for place, part in enumerate(outline.parts) if not isinstance(part, Room)}
    held: dict[int, list[str]] = {place: [] for place in rooms}
    for number in rng.permutation(len(outline.anywhere) if rooms else 0).tolist():
        held[int(rng.choice(list(rooms)))].append(_one_of(outline.anywhere[number], rng))
    sizes = {place: max(room.low, _count(held[place])) for place, room in rooms.items()}
    least = sum(sizes.values()) + sum(map(_count, fixed.values()))
    bounded = outline.low > least or outline.high is not None
    low = max(outline.low, least if bounded else least + _MORE[0])
    high = max(low, least + _MORE[1] if outline.high is None else outline.high)
    for _ in range(int(rng.integers(low, high + 1)) - least):
        spacious = [place for place, room in rooms.items() if room.high is None or sizes[place] < room.high]
        if spacious:
            sizes[int(rng.choice(spacious))] += 1
    line: list[str | None] = []
    for place in range(len(outline.parts)):
        line += _mixed(held[place], sizes[place], rng) if place in rooms else fixed[place]
    return line


def _one_of(words: Fixed, rng: np.random.Generator) -> str:
    return words[int(rng.integers(len(words)))]


def _count(phrases: Sequence[str]) -> int:
    """Words of all phrases."""
    return sum(len(phrase.split()) for phrase in phrases)


def _mixed(phrases: Sequence[str], size: int, rng: np.random.Generator) -> list[str | None]:
    """The phrases in their order with so many words to be written between them that there are `size` words."""
    free = max(size - _count(phrases), 0)
    line: list[str | None] = [None] * (free + len(phrases))
    for at, phrase in zip(sorted(rng.permutation(len(line))[: len(phrases)].tolist()), phrases, strict=True):
        line[at] = phrase
    return line


def _written(model: MaskedLM, outlines: Sequence[Outline], rng: Rng) -> Batch:
    """`TRIED` texts for each outline, which has a row of `rng`, side by side."""
    vocabulary = model.vocabulary
    rows: list[list[int]] = []
    for row, outline in enumerate(outlines):
        numbers = rng.rows([row]).fold(_LAYOUT).generator()
        rows += [_tokens(outline, numbers, vocabulary) for _ in range(TRIED)]
    may_not = [_alone(outline.without, vocabulary) for outline in outlines for _ in range(TRIED)]
    return _respelled(_filled(model, Batch.of(rows, vocabulary), may_not, rng.fold(_FILL).split(TRIED)))


def _respelled(batch: Batch) -> Batch:
    """The texts in the spelling of their vocabulary, as far as it can read them."""
    spelt = [_encoded(text, batch.vocabulary) for text in batch.texts()]
    rows = [tokens or old for tokens, old in zip(spelt, batch.token_lists(), strict=True)]
    return Batch.of(rows, batch.vocabulary)


def _tokens(outline: Outline, numbers: np.random.Generator, vocabulary: Vocabulary) -> list[int]:
    """A layout as tokens, masks in its open places; one that ends in room gets a full stop, most often."""
    share = numbers.random()
    stop = _encoded(".", vocabulary) if isinstance(outline.parts[-1], Room) and share < _STOPPED else []
    if stop and share < _COUNTED and outline.high is not None:
        # a bound on the words may count marks, or may not
        outline = replace(outline, low=max(outline.low - 1, 0), high=max(outline.high - 1, 0))
    line = layout(outline, numbers)
    return [
        token for word in line for token in ([vocabulary.mask_id] if word is None else _encoded(word, vocabulary))
    ] + stop


def _encoded(words: str, vocabulary: Vocabulary) -> list[int]:
    """The tokens of some words, none where they cannot be written."""
    try:
        return vocabulary.encode([words]).token_lists()[0]
    except ValueError:
        return []


def _alone(words: Sequence[str], vocabulary: Vocabulary) -> list[int]:
    """The tokens of those words that are one token, with and without a capital."""
    spelt = [_encoded(spelling, vocabulary) for word in words for spelling in dict.fromkeys((word, word.title()))]
    return [tokens[0] for tokens in spelt if len(tokens) == 1]


def _filled(model: MaskedLM, batch: Batch, may_not: Sequence[Sequence[int]], rng: Rng) -> Batch:
    """The rows with a word in place of each mask, drawn from the model from left to right but for some tokens."""
    vocabulary = model.vocabulary
    fits = (vocabulary.allowed & ~vocabulary.continues).to(batch.device).repeat(len(batch), 1)
    for row, tokens in enumerate(may_not):
        fits[row, list(tokens)] = False
    is_mask = (batch.tokens == vocabulary.mask_id) & batch.present
    for draw in range(int(is_mask.sum(1).max()) if len(batch) else 0):
        rows = is_mask.any(1).nonzero().squeeze(-1)
        place = is_mask[rows].to(torch.int64).argmax(1)
        log_probs = model.log_probs(batch, rows, place).to(torch.float64) / SHARP
        drawn = categorical(log_probs.masked_fill(~fits[rows], -math.inf), rng.rows(rows).uniform(draw))
        batch = replace(batch, tokens=batch.tokens.index_put((rows, place), drawn))
        is_mask = is_mask.index_put((rows, place), torch.tensor(False, device=batch.device))
    return batch


def _best(objective: Objective, texts: Batch, inputs: Tensor, refused: Counter[str]) -> list[Batch | None]:
    """Of the `TRIED` texts for each of `inputs` (B,) that of the lowest energy, None where all are forbidden.

    Who has forbidden how many is counted in `refused`.
    """
    texts = replace(texts, inputs=inputs.repeat_interleave(TRIED))
    found = evaluate(objective, texts)
    names = term_names(objective)
    for row in found.terms[found.energy == math.inf].tolist():
        refused[next((name for name, value in zip(names, row, strict=True) if value == math.inf), "spelling")] += 1
    energies = found.energy.view(-1, TRIED)
    best = energies.argmin(1) + torch.arange(len(energies)) * TRIED
    return [
        texts.rows(row[None]) if bool(energy < math.inf) else None
        for row, energy in zip(best, energies.amin(1), strict=True)
    ]
