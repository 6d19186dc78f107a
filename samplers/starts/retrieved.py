"""Retrieved starts: sentences that somebody wrote, with the keywords that they lack in place of words of theirs.

"Prototype, then edit" (Guu, Hashimoto, Oren and Liang, "Generating sentences by editing prototypes", TACL 2018): the
form of a sentence comes from a person, which a small model cannot make up, and what it says is changed. Of the
sentences that hold some of the keywords those with the most are tried; each missing keyword takes the place of a word
of its kind. Which place suits a keyword is told by how much likelier the new sentence is than the one it was made of:
how usual the rest is does not count.

Starts for chains, no draws from any stated law; no random numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

Nats = Callable[[Sequence[str]], Sequence[float]]
"""-log p of texts; +inf for one that cannot be written."""

_PLACES = 3  # of a keyword that are tried together with those of the others


def retrieved(
    keywords: Sequence[str],
    sentences: Sequence[str],
    *,
    cut: Callable[[str], Sequence[str]],
    nats: Nats,
    alike: Callable[[str, str], bool] = lambda keyword, word: True,
    count: int = 4,
    prototypes: int = 32,
) -> list[str]:
    """At most `count` texts, each of another sentence: the best first.

    A sentence that holds all keywords is left out: nothing would be written.

    Args:
        keywords: of the text.
        sentences: the texts that may be changed.
        cut: a text in words and what stands between them; joined they are the text.
        nats: of texts.
        alike: (keyword, word of a sentence) -> whether the one may take the other's place.
        count: texts wanted.
        prototypes: sentences that are tried.

    >>> lines = ["the old cat sleeps", "a red dog", "no word of it", "the dog and the cat"]
    >>> cut = lambda text: [part for word in text.split() for part in (word, " ")][:-1]
    >>> retrieved(["dog", "cat"], lines, cut=cut, nats=lambda texts: [len(text) for text in texts])
    ['the old cat dog', 'a cat dog']
    """
    held = [(sum(word in line for word in keywords), line) for line in dict.fromkeys(sentences)]
    likely = sorted(((size, line) for size, line in held if size), key=lambda one: -one[0])
    found: list[tuple[float, str]] = []
    tried = 0
    for _, line in likely:
        if tried == prototypes:
            break
        pieces = list(cut(line))
        missing = [word for word in keywords if word not in pieces]
        if not missing or len(missing) == len(keywords):
            continue
        tried += 1
        best = _woven(line, pieces, missing, keywords, nats, alike)
        if best is not None:
            found.append(best)
    return [text for _, text in sorted(found)[:count]]


def _woven(
    line: str,
    pieces: Sequence[str],
    missing: Sequence[str],
    keywords: Sequence[str],
    nats: Nats,
    alike: Callable[[str, str], bool],
) -> tuple[float, str] | None:
    """The sentence with all keywords, and its nats beyond those that it had; None where there is no place."""
    free = [place for place, piece in enumerate(pieces) if piece not in keywords]
    options = [[place for place in free if alike(word, pieces[place])] for word in missing]
    singles = [[_put(pieces, {place: word}) for place in own] for word, own in zip(missing, options, strict=True)]
    before, *values = nats([line, *(text for own in singles for text in own)])
    left = iter(values)
    ranked = [sorted((next(left), place) for place in own)[:_PLACES] for own in options]
    texts = [
        _put(pieces, {place: word for (_, place), word in zip(chosen, missing, strict=True)})
        for chosen in product(*ranked)
        if len({place for _, place in chosen}) == len(missing)
    ]
    if not texts:
        return None
    cost, text = min(zip(nats(texts), texts, strict=True))
    return (cost - before, text) if cost < float("inf") else None


def _put(pieces: Sequence[str], words: dict[int, str]) -> str:
    """The pieces with others at some places; what begins the text has a capital if that had one.

    >>> _put(["a", " ", "b"], {2: "c"}), _put(["Cats", " ", "sleep"], {0: "dogs"})
    ('a c', 'Dogs sleep')
    """
    own = [words.get(place, piece) for place, piece in enumerate(pieces)]
    if pieces[0][:1].isupper():
        own[0] = own[0][:1].upper() + own[0][1:]
    return "".join(own)
