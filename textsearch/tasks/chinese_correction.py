"""Corrected Chinese: a noisy channel over characters, without training.

The energy of a text of the same length as the written one w is

    E(x) = - a log p(x) - b log u(x) - c sum over the characters that differ of log m(x_i) / m(w_i)
           - sum over the characters that differ of log p(w_i | meant x_i),

in nats: p the causal model, best one of characters; u the likeliest cut of the text into words of a dictionary, each by
its frequency; m a masked model that has read the written text with this character masked, if one is given. The last
term is a prior and not fitted: a character in fifty is written wrong (`ERROR_RATE`), each kind of mistake has its
share, which is split evenly among all characters that `meant` may be mistaken for in this way (Kernighan, Church and
Gale, 1990).

A move exchanges one character, or two within a word of up to four of the dictionary, where that looks promising by all
terms but the causal model's more often (`Exchanges`). Chains start from the written text and are cooled. Characters are
changed one for one, nothing is put in or left out, and only Chinese ones that the causal model knows are touched.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import final

import torch

from objectives import CharacterChannel, Fluency
from objectives.character_channel import Meant
from samplers import MetropolisHastings, SimulatedAnnealing
from samplers.proposals import Exchanges, Stretch
from textsearch.batch import Batch, Vocabulary
from textsearch.language.characters import CharacterVocabulary
from textsearch.language.chinese_confusions import ChineseConfusions, listed_in
from textsearch.language.confusions import Confusions
from textsearch.language.literals import Kept
from textsearch.language.segmentation import words_log_prob, words_near
from textsearch.models.reading.turns import remembered
from textsearch.objective import FunctionObjective, Objective
from textsearch.rng import input_numbers
from textsearch.schedule import geometric
from textsearch.tasks import resolve as given
from textsearch.tasks.in_place import in_place
from textsearch.tasks.languages import CHINESE
from textsearch.tasks.mining import PARTS
from textsearch.tasks.problem import Models, Problem
from textsearch.tasks.settings import Correction
from textsearch.waiting import waiting

ERROR_RATE = 0.02
"""Characters that are written wrong: some 700 of 33,700 in the test texts of SIGHAN 2015 (Tseng et al., 2015)."""

SHARES: Mapping[str, float] = {
    "listed": 0.5,
    "sound and shape": 0.22,
    "same sound": 0.30,
    "other tone": 0.15,
    "near sound": 0.09,
    "near shape": 0.24,
}
"""Of mistakes, how many are of a kind: 76 % sound and 46 % look alike (Liu et al., 2011); what is listed aside."""

HOTTEST, COLDEST = 1.0, 0.1
"""Temperatures, in units of the run's."""

READINGS = 12
"""Characters that are tried in one place."""

_ANYWHERE = 0.2  # of moves: to stretches that are all alike
_AROUND = 6  # characters on either side that are cut into words again


@final
@dataclass(frozen=True)
class Judges:
    """What the terms of the energy weigh, a, b and c above; 0 leaves one out. See docs/results/correct_chinese.md.

    Attributes:
        causal: of the causal model's nats.
        words: of the dictionary's.
        masked: of the masked model's.
    """

    causal: float = 0.6
    words: float = 0.6
    masked: float = 0.2


def build(
    texts: Sequence[str],
    settings: Correction,
    models: Models,
    *,
    numbers: Sequence[int] | None = None,
    progress: bool = False,
    judges: Judges = Judges(),
) -> Problem:
    """The problem of `correct` in Chinese; see above."""
    given.check(causal=models.causal, masked=models.masked, uses=("score", "vocabulary"))
    models = CHINESE.filled(models, "causal", progress=progress)
    numbers = input_numbers(numbers, len(texts))
    kept = Kept.of(settings.keep)
    assert isinstance(settings.listed, tuple)
    with waiting("looking up characters", progress):
        confusions = settings.confusions or ChineseConfusions(listed_in(settings.listed))
    lm = given.causal(models.causal, progress, ("score", "vocabulary"))
    mlm = None if models.masked is None else given.masked(models.masked, progress)
    prices = [
        [{one: settings.strictness * nats for one, nats in place.items()} for place in own]
        for own in meant_by(texts, confusions, known_to(lm.vocabulary), kept)
    ]
    vocabulary = CharacterVocabulary.of(one for part in (*texts, *chain(*prices)) for one in part)
    written = vocabulary.encode(texts)
    channel = [[{vocabulary.number[one]: nats for one, nats in place.items()} for place in own] for own in prices]
    objective: Objective = CharacterChannel(written, channel)
    nats: Sequence[Sequence[Meant]] = channel
    if judges.words:
        objective += judges.words * FunctionObjective(words_of_dictionary, name="words")
    if mlm is not None and judges.masked:
        with waiting("reading the texts", progress), torch.inference_mode():
            read = in_place(mlm, written, channel)
        objective += judges.masked * read
        nats = [_added(*pair, judges.masked) for pair in zip(channel, read.nats, strict=True)]
    if judges.causal:
        objective += judges.causal * Fluency(lm)
    with waiting("listing what may be meant", progress):
        moves = exchanges(written, nats, judges.words)
    return Problem(
        objective=objective,
        moves=moves,
        sampler=lambda moves, steps: SimulatedAnnealing(
            MetropolisHastings(moves), geometric(HOTTEST, COLDEST, max(steps, 1))
        ),
        start=written.repeat(settings.chains),
        steps=settings.steps,
        seed=settings.seed,
        temperature=settings.temperature,
        numbers=numbers,
    )


def _added(channel: Sequence[Meant], read: Sequence[Meant], weight: float) -> list[Meant]:
    """Of each place, the prices with what the masked model says."""
    return [
        {token: price + weight * more.get(token, 0.0) for token, price in own.items()}
        for own, more in zip(channel, read, strict=True)
    ]


def words_of_dictionary(texts: Iterable[str]) -> list[float]:
    """-log u of each text, see `textsearch.language.segmentation.words_log_prob`."""
    return [-words_log_prob(text) for text in texts]


@remembered(most=2)
def known_to(vocabulary: Vocabulary) -> Callable[[str], bool]:
    """Whether a character can be written in a vocabulary; thousands are asked about, in each group of texts again."""

    @cache
    def known(one: str) -> bool:
        try:
            return vocabulary.encode([one]).texts() == [one]
        except ValueError:
            return False

    return known


def meant_by(
    texts: Sequence[str], confusions: Confusions, known: Callable[[str], bool], kept: Kept
) -> list[list[dict[str, float]]]:
    """Of each text and each of its characters, what else it may have been meant to be, with -log p(written | meant)."""

    @cache
    def taken(one: str) -> Counter[str]:
        """Kind -> how many others, of those that the model knows, a character is taken for."""
        return Counter(kind for other, kind in confusions.of(one).items() if known(other))

    @cache
    def prices(one: str) -> dict[str, float]:
        if not PARTS["zh"].fullmatch(one) or not known(one):
            return {}
        return {
            other: math.log(max(taken(other)[kind], 1)) - math.log(ERROR_RATE * SHARES.get(kind, SHARES["listed"]))
            for other, kind in confusions.of(one).items()
            if len(other) == 1 and other != one and known(other)
        }

    found = []
    for text in texts:
        sealed = {place for begin, end in kept.spans(text) for place in range(begin, end)}
        found.append([{} if place in sealed else prices(one) for place, one in enumerate(text)])
    return found


def exchanges(written: Batch, nats: Sequence[Sequence[Meant]], words: float) -> Exchanges:
    """Moves to single characters, and to words of the dictionary, the more often the lower their energy.

    Args:
        written: the texts.
        nats: of each text and each place, what may be meant there, and its energy but for the dictionary's.
        words: weight of the dictionary's.
    """
    characters = written.vocabulary
    assert isinstance(characters, CharacterVocabulary)
    found = []
    for text, row, own in zip(written.texts(), written.token_lists(), nats, strict=True):
        listed = _listed(text, characters, own)
        standing = _words_around(text)
        gains = []
        for start, reading in listed:
            there = zip(own[start:], row[start:], reading, strict=False)
            gain = -sum(place[new] for place, old, new in there if new != old)
            if words:
                end, said = start + len(reading), "".join(characters.tokens[token] for token in reading)
                left, right = text[max(0, start - _AROUND) : start], text[end : end + _AROUND]
                gain += words * (words_log_prob(left + said + right) - standing(start, end))
            # half of it, as in locally balanced proposals (Zanella, 2020)
            gains.append(0.5 * gain)
        found.append(_stretches(row, listed, gains) if listed else [])
    return Exchanges(written.vocabulary, found)


def _words_around(text: str) -> Callable[[int, int], float]:
    """log u of a part of the text with what stands around it, which many exchanges are compared with."""
    return cache(lambda start, end: words_log_prob(text[max(0, start - _AROUND) : end + _AROUND]))


Reading = tuple[int, tuple[int, ...]]
"""The first place of a stretch, and tokens that may stand there."""


def _listed(text: str, characters: CharacterVocabulary, meant: Sequence[Meant]) -> list[Reading]:
    """All exchanges of a text: of one character, and of two of a word."""
    found: list[Reading] = [(place, (token,)) for place, own in enumerate(meant) for token in own]
    others = [{characters.tokens[token] for token in own} for own in meant]
    for start in range(len(text)):
        found += [(start, tuple(characters.number[one] for one in word)) for word in words_near(text, start, others)]
    return found


def _stretches(written: Sequence[int], listed: Sequence[Reading], gains: Sequence[float]) -> list[Stretch]:
    """The exchanges by where they are, the best `READINGS` of each place beside what is written there."""
    places: dict[tuple[int, int], list[tuple[float, tuple[int, ...]]]] = defaultdict(list)
    for (start, reading), gain in zip(listed, gains, strict=True):
        places[start, len(reading)].append((gain, reading))
    # equal gains stay in the order of the list, which does not depend on the other texts
    best = {place: sorted(own, key=lambda one: one[0], reverse=True)[:READINGS] for place, own in places.items()}
    gained = [[gain for gain, _ in own] + [-math.inf] * (READINGS - len(own)) for own in best.values()]
    share = (1 - _ANYWHERE) * torch.tensor(gained, dtype=torch.float64).logsumexp(1).softmax(0) + _ANYWHERE / len(best)
    return [
        Stretch(
            start,
            (tuple(written[start : start + size]), *(reading for _, reading in own)),
            (0.0, *(gain for gain, _ in own)),
            log_weight,
        )
        for ((start, size), own), log_weight in zip(best.items(), share.log().tolist(), strict=True)
    ]
