"""Corrected Chinese: a noisy channel over characters, without training.

The energy of a text of the same length is

    weight * -log p(text) + sum over the characters that differ of -log p(written | meant),

where p(written | meant) is the chance of a kind of mistake, shared by all characters that `meant` is taken for in this
way: what sounds like a hundred others is seldom taken for just this one. log p(text) is that of a causal model of
characters, or the mean of both directions' of n-grams. Proposed at each character are those that it may have been meant
to be (`ChineseConfusions`), the likeliest by what stands on either side; a Gibbs sampler resamples one or two
neighbours at once, cooled down. Only Chinese characters that the models know are touched.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Protocol, final

import torch
from torch import Tensor

from objectives import Fluency
from objectives.character_channel import CharacterChannel, Meant
from samplers import Gibbs, SimulatedAnnealing
from samplers.gibbs import systematic_scan
from textsearch import generate
from textsearch.batch import Batch, Vocabulary
from textsearch.checks import positive, strings, whole
from textsearch.language.literals import Keep, Kept
from textsearch.models.protocols import CausalLM, MaskedLM
from textsearch.models.vocabulary import TokenizerVocabulary
from textsearch.objective import Objective
from textsearch.schedule import geometric
from textsearch.tasks.mining import PARTS

PRICES: Mapping[str, float] = {"listed": 4.4, "same sound": 4.4, "other tone": 5.17, "near sound": 6.05}
"""-log of how often a character is written wrong in each way, nats; all that it is taken for in this way are alike."""

_CANDIDATES = {1: 12, 2: 7}
"""Of each character, by how many are drawn at once."""
_HOTTEST, _COLDEST = 0.5, 0.1
_TOGETHER = 128
"""Texts in one run."""


class Confusing(Protocol):
    """What a character may have been meant to be."""

    def of(self, word: str) -> Mapping[str, str]:
        """Candidate -> kind of mistake."""


class CharacterMaskedLM(MaskedLM, Protocol):
    """A masked model whose tokens are single characters."""

    @property
    def vocabulary(self) -> TokenizerVocabulary:
        """One character a token."""


@final
@dataclass(frozen=True, eq=False)
class MeantCharacters:
    """A masked model whose candidates are what the written characters may have been meant to be.

    The written character itself comes first, so that it can always be put back; then by the model's log p less the
    price. Which they are depends on the written text and on the other tokens only, so Gibbs sampling stays exact.

    Attributes:
        mlm: of single characters.
        channel: what was written, and what may have been meant.
    """

    mlm: MaskedLM
    channel: CharacterChannel

    @property
    def vocabulary(self) -> Vocabulary:
        """That of the model."""
        return self.mlm.vocabulary

    def log_probs(self, batch: Batch, rows: Tensor, positions: Tensor) -> Tensor:
        """(K, V) log-probabilities in nats; -inf for what is no candidate."""
        own = self.mlm.log_probs(batch, rows, positions).to(torch.float64)
        out = torch.full_like(own, -math.inf)
        inputs, written = batch.inputs[rows].tolist(), self.channel.written.tokens[batch.inputs[rows], positions]
        for number, (text, place) in enumerate(zip(inputs, positions.tolist(), strict=True)):
            meant = self.channel.meant[text][place]
            tokens = list(meant)
            out[number, tokens] = own[number, tokens] - torch.tensor(list(meant.values()), dtype=torch.float64)
        out.scatter_(1, written[:, None].to(out.device), out.amax(1, keepdim=True).clamp(min=0) + 1)
        return out.log_softmax(-1)


def correct_characters(
    texts: Sequence[str],
    *,
    lm: CausalLM,
    mlm: CharacterMaskedLM,
    confusions: Confusing,
    backward: CausalLM | None = None,
    weight: float = 1.0,
    strictness: float = 1.0,
    keep: Keep = True,
    prices: Mapping[str, float] = PRICES,
    sweeps: int = 2,
    block: int = 2,
    seed: int = 0,
) -> list[str]:
    """Chinese texts with the characters mended that sound like others, or are listed.

    Args:
        texts: sentences.
        lm: judges them.
        mlm: proposes characters.
        confusions: what a character may have been meant to be.
        backward: judges them from the right; the mean of both counts.
        weight: of -log p.
        strictness: times each of the `prices`; above 1 fewer characters are changed.
        keep: leave alone addresses, code, numbers and the like, True or False, or words besides.
        prices: kind of mistake -> nats; kinds without a price are left alone.
        sweeps: times that every place is looked at.
        block: neighbours that are drawn at once, 1 or 2.
        seed: the same seed gives the same texts.

    Raises:
        ValueError: an argument that cannot be meant.
    """
    texts = strings("texts", texts)
    sweeps, block = whole("sweeps", sweeps, 1), whole("block", block, 1, 2, unit="character")
    paid = {kind: positive("strictness", strictness) * price for kind, price in prices.items()}
    found = list(texts)
    # those of like length run together
    order = sorted(range(len(texts)), key=lambda number: len(texts[number]))
    for first in range(0, len(order), _TOGETHER):
        numbers = order[first : first + _TOGETHER]
        channel = channel_of([texts[number] for number in numbers], mlm.vocabulary, confusions, paid, keep)
        # one alone has no neighbour to be drawn with, so what cannot change is drawn too, from itself
        start = channel.written.frozen(_frozen(channel)) if block == 1 else channel.written
        judged: Objective = weight * Fluency(lm)
        if backward is not None:
            judged = 0.5 * weight * Fluency(lm) + 0.5 * weight * Fluency(backward)
        steps = sweeps * int(start.editable.sum(1).max()) if len(start) else 0
        if steps:
            sampler = SimulatedAnnealing(gibbs(mlm, channel, block), geometric(_HOTTEST, _COLDEST, steps))
            best = generate(judged + channel, sampler, start, steps=steps, seed=seed).best_batch
            for number, row, old in zip(numbers, best.token_lists(), channel.written.token_lists(), strict=True):
                changed = zip(texts[number], row, old, strict=True)
                pieces = mlm.vocabulary.pieces
                found[number] = "".join(one if new == was else pieces[new] for one, new, was in changed)
    return found


def gibbs(mlm: MaskedLM, channel: CharacterChannel, block: int) -> Gibbs:
    """The sampler of what may have been meant."""
    return Gibbs(MeantCharacters(mlm, channel), _CANDIDATES[block], block, systematic_scan)


def channel_of(
    texts: Sequence[str],
    vocabulary: TokenizerVocabulary,
    confusions: Confusing,
    prices: Mapping[str, float],
    keep: Keep = True,
) -> CharacterChannel:
    """What each character of the texts may have been meant to be, and its price.

    Raises:
        ValueError: the vocabulary is not of single characters.
    """
    rows, kept = vocabulary.read(texts), Kept.of(keep)
    for text, row in zip(texts, rows, strict=True):
        if len(text) != len(row):
            raise ValueError(
                f"{text!r} has {len(text)} characters, and the model reads {len(row)} tokens: take models of single "
                "characters that keep spaces, such as those of training/ngram.py --characters"
            )
    token = {piece: number for number, piece in enumerate(vocabulary.pieces) if vocabulary.allowed[number]}

    @cache
    def shared_by(one: str) -> Counter[str]:
        """Of a character, how many others it is taken for, by kind."""
        return Counter(kind for other, kind in confusions.of(one).items() if other in token)

    meant: list[list[Meant]] = []
    for text in texts:
        sealed = {place for begin, end in kept.spans(text) for place in range(begin, end)}
        meant.append(
            [
                {
                    token[other]: prices[kind] + math.log(max(shared_by(other)[kind], 1))
                    for other, kind in confusions.of(one).items()
                    if other in token and kind in prices
                }
                if place not in sealed and one in token and PARTS["zh"].fullmatch(one)
                else {}
                for place, one in enumerate(text)
            ]
        )
    return CharacterChannel(Batch.of(rows, vocabulary), meant)


def _frozen(channel: CharacterChannel) -> Tensor:
    """(B, N) bool, places where nothing else may have been meant."""
    frozen = torch.ones_like(channel.written.editable)
    for row, own in enumerate(channel.meant):
        frozen[row, : len(own)] = torch.tensor([not place for place in own], dtype=torch.bool)
    return frozen
