"""Corrected Chinese: a noisy channel over characters, without training.

The energy of a text of the same length as the written one w is

    E(x) = - a log p(x) - b log u(x) - c sum over the characters that differ of log m(x_i) / m(w_i)
           - log p(places of the mistakes) - sum over the characters that differ of log p(w_i | meant x_i, wrong),

in nats: p the causal model, best one of characters; u the likeliest cut of the text into words of a dictionary, each by
its frequency; m a masked model that has read the written text with this character masked, if one is given. The last
two are a noisy channel (Kernighan, Church and Gale, 1990) that is not fitted. One text in two is right, and each other
one has a rate of its own, so that the first mistake is the least likely one (`prices_of_mistakes`). Each kind of
mistake has its share, one half of which is split evenly among all characters that `meant` may be mistaken for in this
way, and the other half by how frequent they are: who writes a wrong character seldom writes a rare one.

A Chinese character that the causal model does not know is one of `HAN`, each as likely as the others.

A move exchanges one character, or two within a word of up to four of the dictionary, where that looks promising by all
terms but the causal model's more often (`Exchanges`). Chains start from the written text and are cooled. Characters are
changed one for one, nothing is put in or left out, and only Chinese ones are touched.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
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
from textsearch.language.segmentation import dictionary, words_log_prob, words_near
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

RIGHT = 0.5
"""Texts without a mistake: one half of the same texts. The others have twice the rate."""

HAN = 20_992
"""Chinese characters of Unicode's first block."""

UNKNOWN = 0.25
"""Share of Chinese characters from which on a text is of another script than the causal model: they are left alone."""

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
    kept = Kept.of(settings.keep, chinese=True)
    assert isinstance(settings.listed, tuple)
    with waiting("looking up characters", progress):
        confusions = settings.confusions or ChineseConfusions(listed_in(settings.listed))
    lm = given.causal(models.causal, progress, ("score", "vocabulary"))
    mlm = None if models.masked is None else given.masked(models.masked, progress)
    known = known_to(lm.vocabulary)
    prices = [
        [{one: settings.strictness * nats for one, nats in place.items()} for place in own]
        for own in meant_by(texts, confusions, known, kept)
    ]
    mistakes = [[settings.strictness * nats for nats in prices_of_mistakes(len(own))] for own in prices]
    vocabulary = CharacterVocabulary.of(one for part in (*texts, *chain(*prices)) for one in part)
    written = vocabulary.encode(texts)
    channel = [[{vocabulary.number[one]: nats for one, nats in place.items()} for place in own] for own in prices]
    objective: Objective = CharacterChannel(written, channel, mistakes)
    nats: Sequence[Sequence[Meant]] = [
        # the moves take each mistake for the first one
        [{token: price + own[1] for token, price in place.items()} for place in places]
        for places, own in zip(channel, mistakes, strict=True)
    ]
    if judges.words:
        objective += judges.words * FunctionObjective(words_of_dictionary, name="words")
    if mlm is not None and judges.masked:
        with waiting("reading the texts", progress), torch.inference_mode():
            read = in_place(mlm, written, channel)
        objective += judges.masked * read
        nats = [_added(*pair, judges.masked) for pair in zip(nats, read.nats, strict=True)]
    if judges.causal:
        objective += judges.causal * Fluency(lm)
        strange = frozenset(one for one in vocabulary.tokens if PARTS["zh"].fullmatch(one) and not known(one))
        if strange:
            objective += judges.causal * FunctionObjective(WhichUnknown(strange), name="unknown characters")
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


def prices_of_mistakes(places: int) -> list[float]:
    """Of 0, 1, ... mistakes in given places of a text: -log of their probability, compared with none at all.

    A text is right with the probability `RIGHT`, and else each of its characters is wrong with a probability r, which
    itself is from the law Beta(1, b), whose mean is `ERROR_RATE / (1 - RIGHT)`.

    >>> prices = prices_of_mistakes(20)
    >>> [round(after - before, 1) for before, after in zip(prices, prices[1:4])]
    [4.8, 3.0, 2.6]
    """
    b = (1 - RIGHT) / ERROR_RATE - 1

    def log_beta(one: float, other: float) -> float:
        return math.lgamma(one) + math.lgamma(other) - math.lgamma(one + other)

    wrong = [log_beta(1 + count, b + places - count) - log_beta(1, b) for count in range(places + 1)]
    none = math.log(RIGHT + (1 - RIGHT) * math.exp(wrong[0]))
    return [0.0, *(none - math.log(1 - RIGHT) - nats for nats in wrong[1:])]


@final
@dataclass(frozen=True)
class WhichUnknown:
    """Which of `HAN` each unknown character of a text is: the nats that a model leaves out that only says "unknown".

    Attributes:
        characters: the unknown ones.

    >>> [round(nats, 2) for nats in WhichUnknown(frozenset("頭"))(["頭痛", "头痛"])]
    [9.95, 0.0]
    """

    characters: Set[str]

    def __call__(self, texts: Iterable[str]) -> list[float]:
        """Nats of each text."""
        return [sum(one in self.characters for one in text) * math.log(HAN) for text in texts]


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
    """Of each character of each text, what else it may have been meant to be: -log p(written | meant, wrong)."""
    frequency = dictionary()

    @cache
    def taken(one: str) -> Mapping[str, Sequence[str]]:
        """Kind -> the others that a character is taken for."""
        found = defaultdict(list)
        for other, kind in confusions.of(one).items():
            if len(other) == 1 and other != one:
                found[kind].append(other)
        return found

    @cache
    def counts(one: str, kind: str) -> tuple[int, int]:
        """How many others, and how often they stood in the corpus of the dictionary, each at least once."""
        others = taken(one).get(kind, ())
        return len(others), sum(max(frequency.get(other, 0), 1) for other in others)

    def price(written: str, meant: str, kind: str) -> float:
        own, (others, sums) = max(frequency.get(written, 0), 1), counts(meant, kind)
        if written not in taken(meant).get(kind, ()):  # who is mistaken for whom may be told one way only
            others, sums = others + 1, sums + own
        return -math.log(SHARES.get(kind, SHARES["listed"]) * (0.5 / others + 0.5 * own / sums))

    @cache
    def prices(one: str) -> dict[str, float]:
        if not PARTS["zh"].fullmatch(one):
            return {}
        return {other: price(one, other, kind) for kind, own in taken(one).items() for other in own if known(other)}

    found = []
    for text in texts:
        sealed = {place for begin, end in kept.spans(text) for place in range(begin, end)}
        strange = {one for one in text if PARTS["zh"].fullmatch(one) and not known(one)}
        chinese = [one for one in text if PARTS["zh"].fullmatch(one)]
        if sum(one in strange for one in chinese) >= UNKNOWN * len(chinese):
            sealed |= {place for place, one in enumerate(text) if one in strange}
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
