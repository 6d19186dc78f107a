"""New words of a corpus: strings that hold together inside and are free outside.

Cohesion is the least pointwise mutual information over the ways to cut a string in two,

    min over cuts a | b of  log [ c(a b) N / (c(a) c(b)) ],

what is left of a chance meeting (Church and Hanks, "Word association norms, mutual information, and lexicography",
1990). Freedom is the lesser of the entropies of what stands before and behind it (Huang and Powers, "Chinese word
segmentation based on contextual entropy", 2003): a part of a longer word is nearly always followed by the rest of it.
An end of a sentence or a mark of punctuation is as good as a neighbour of its own each time. Chinese strings are of
characters, English ones of words. Counts are sorted on disk, so memory does not grow with the corpus.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import final

import numpy as np
import regex
from numpy.typing import NDArray

from textsearch.checks import whole
from textsearch.language.mixed_up import small_words
from textsearch.models.ngram.counting import BLOCK, Counted, count_ngrams

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

PARTS = {"zh": regex.compile(r"\p{Han}"), "en": regex.compile(r"[\p{L}\p{N}]+(?:['’\-][\p{L}\p{N}]+)*")}
"""What strings are made of, by language."""

_RUNS = {"zh": regex.compile(r"\p{Han}+"), "en": regex.compile(r"[\p{L}\p{N}'’\- ]+")}
_JOINT = {"zh": "", "en": " "}
_END, _BEGIN = 0, 2**26 - 1
_LINES = 20_000


@final
@dataclass(frozen=True)
class Term:
    """A string that may be a word.

    Attributes:
        text: as it stands in the corpus, in small letters.
        count: how often.
        cohesion: nats, the least pointwise mutual information over its cuts.
        freedom: nats, the lesser of the entropies of its neighbours on either side.
    """

    text: str
    count: int
    cohesion: float
    freedom: float

    @property
    def score(self) -> float:
        """What terms are ordered by: nats of cohesion that are found at free places, log-frequency as the weight."""
        return float(np.log(self.count)) * self.cohesion * self.freedom


def mine(
    texts: Iterable[str],
    *,
    lang: str = "en",
    longest: int = 4,
    least: int = 10,
    cohesion: float = 2.0,
    freedom: float = 1.0,
    grammar: bool = False,
    workers: int = 1,
    scratch: Path | None = None,
    block: int = BLOCK,
) -> list[Term]:
    """Strings of a corpus that look like words or terms, the best first.

    Args:
        texts: read once.
        lang: "zh" for strings of characters, "en" for strings of words.
        longest: characters or words of a string.
        least: times that it must stand in the corpus.
        cohesion: nats that it must have.
        freedom: nats that it must have on both sides.
        grammar: keep English strings that begin or end with a small word: "such as", "have been".
        workers: threads that sort.
        scratch: a folder for what is not kept in memory; by default a temporary one.
        block: numbers sorted at once.

    Raises:
        ValueError: an argument that cannot be meant, or a corpus without a string of the language.

    >>> texts = ["the new york times", "in new york", "a new hat", "old york", "new york is big", "see new york now"]
    >>> [(term.text, term.count) for term in mine(texts, least=3, cohesion=0.5)]
    [('new york', 4)]
    """
    if lang not in PARTS:
        raise ValueError(f"lang={lang!r} is not known: choose from {', '.join(sorted(PARTS))}")
    longest, least = whole("longest", longest, 2, 8), whole("least", least, 2)
    workers = whole("workers", workers, 1)
    with tempfile.TemporaryDirectory(dir=scratch) as temporary:
        folder = Path(temporary)
        stream, parts = _stream(texts, lang, folder / "stream.bin")
        singles = np.zeros(len(parts), dtype=np.int64)
        for start in range(0, len(stream), block):
            part = stream[start : start + block]
            singles += np.bincount(part[part < _BEGIN], minlength=len(parts))
        tables = [Counted(np.arange(len(parts)), singles, np.zeros(0, dtype=np.int64))]
        tables += count_ngrams(stream, _BEGIN, longest + 1, folder, block, workers)
        found: list[Term] = []
        for size in range(2, longest + 1):
            found += _terms(tables, size, parts, _JOINT[lang], least, cohesion, freedom, block)
    if lang == "en" and not grammar:
        small = small_words()
        found = [term for term in found if not {term.text.split(" ")[0], term.text.split(" ")[-1]} & small.keys()]
    return sorted(found, key=lambda term: (-term.score, term.text))


def _stream(texts: Iterable[str], lang: str, path: Path) -> tuple[NDArray[np.int32], list[str]]:
    """Runs of parts, each between a beginning and an end, by their numbers, in a file; and the parts."""
    numbers: dict[str, int] = {"": _END}
    one, run = PARTS[lang], _RUNS[lang]

    def tokens(text: str) -> Iterator[int]:
        for own in run.findall(text.casefold() if lang == "en" else text):
            found = own if lang == "zh" else one.findall(own)
            if found:
                yield _BEGIN
                yield from (numbers.setdefault(part, len(numbers)) for part in found)
                yield _END

    read = 0
    with path.open("wb") as file:
        left = iter(texts)
        while some := list(islice(left, _LINES)):
            read += len(some)
            np.fromiter(chain.from_iterable(map(tokens, some)), dtype=np.int32).tofile(file)
    if not path.stat().st_size:
        what = f"nothing of lang={lang!r}: name its language" if read else "no texts: give one with a text on each line"
        raise ValueError(f"the corpus holds {what}")
    return np.memmap(path, dtype=np.int32, mode="r"), list(numbers)


def _terms(
    tables: Sequence[Counted],
    size: int,
    parts: Sequence[str],
    joint: str,
    least: int,
    cohesion: float,
    freedom: float,
    block: int,
) -> Iterator[Term]:
    """The strings of `size` parts that pass; `tables[k - 1]` is of order k."""
    own = tables[size - 1]
    frequent = [
        start + np.flatnonzero(own.counts[start : start + block] >= least) for start in range(0, len(own.keys), block)
    ]
    place = np.concatenate([np.zeros(0, dtype=np.int64), *frequent])
    words = _spelt(tables, size, place)
    inside = (words != _END).all(1) & (words != _BEGIN).all(1)
    place, words = place[inside], words[inside]
    counts = np.asarray(own.counts[place])
    held = _cohesion(tables, size, place, counts, int(np.asarray(tables[0].counts[1:]).sum()))
    holds = held >= cohesion
    place, words, counts, held = place[holds], words[holds], counts[holds], held[holds]
    free = _freedom(tables[size], _begins(tables, size + 1), place, counts, block)
    for row in np.flatnonzero(free >= freedom).tolist():
        text = joint.join(parts[number] for number in words[row].tolist())
        yield Term(text, int(counts[row]), float(held[row]), float(free[row]))


def _spelt(tables: Sequence[Counted], size: int, place: Integers) -> Integers:
    """(K, size) the numbers of the parts of strings, by their places in the table of their order."""
    columns = []
    for order in range(size, 1, -1):
        key = np.asarray(tables[order - 1].keys[place])
        columns.append(key % (_BEGIN + 1))
        place = key // (_BEGIN + 1)
    return np.stack([place, *columns[::-1]], 1)


def _cohesion(tables: Sequence[Counted], size: int, place: Integers, counts: Integers, total: int) -> Floats:
    """(K,) nats, the least pointwise mutual information over the cuts of each string."""
    prefixes, suffixes = [], []
    left = right = place
    for order in range(size, 1, -1):
        left = np.asarray(tables[order - 1].keys[left]) // (_BEGIN + 1)
        right = np.asarray(tables[order - 1].suffixes[right])
        prefixes.append(np.asarray(tables[order - 2].counts[left]))
        suffixes.append(np.asarray(tables[order - 2].counts[right]))
    told = np.log(counts) + np.log(total)
    # a prefix of size - i parts stands before a suffix of i
    cuts = [told - np.log(one) - np.log(other) for one, other in zip(prefixes, suffixes[::-1], strict=True)]
    found: Floats = np.min(cuts, axis=0)
    return found


def _begins(tables: Sequence[Counted], size: int) -> int:
    """From which place on the strings of `size` parts begin a run: its mark has the highest number of all."""
    place = _BEGIN
    for order in range(2, size + 1):
        place = int(np.searchsorted(tables[order - 1].keys, place * (_BEGIN + 1)))
    return place


def _freedom(longer: Counted, begins: int, place: Integers, counts: Integers, block: int) -> Floats:
    """(K,) nats, the lesser of the entropies of what stands before and behind each string, by its place.

    With n_x the times that x stands beside it, log c - sum_x n_x log n_x / c; each boundary is an x of its own.
    """
    sums = np.zeros((2, len(place)))
    for start in range(0, len(longer.keys), block) if len(place) else ():
        key = np.asarray(longer.keys[start : start + block])
        times = np.asarray(longer.counts[start : start + block])
        nats = times * np.log(times)
        within = np.arange(start, start + len(key)) < begins
        sides = ((longer.suffixes[start : start + block], within), (key // (_BEGIN + 1), key % (_BEGIN + 1) != _END))
        for side, (whose, neighbour) in enumerate(sides):
            at = np.minimum(np.searchsorted(place, whose), len(place) - 1)
            hit = (place[at] == whose) & neighbour
            sums[side] += np.bincount(at[hit], weights=nats[hit], minlength=len(place))
    found: Floats = (np.log(counts) - sums / counts).min(0)
    return found
