"""Words and keywords of plain text: segmentation of Chinese, and which words of a text matter.

Chinese by jieba (Sun, 2012): the likeliest path through a dictionary of 349,000 words with their frequencies, and a
hidden Markov model for words that it lacks. Keywords by TF-IDF (Sparck Jones, 1972) or TextRank (Mihalcea and Tarau,
2004). English keywords by information: -log2 of how frequent a word is, once for each time it occurs.
"""

from __future__ import annotations

import math
import re
import warnings
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, lru_cache
from typing import Any

_ENGLISH = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_PLAIN_BITS = 10.5
"""A word as frequent as one in 2^10.5 (about 1,400) is grammar or plain: "some", "get", "good" and all above them."""
_CHANGES, _LONGEST = 2, 4  # characters of a word that may have been meant
_MEANING = ("n", "nr", "ns", "nt", "nz", "v", "vn", "a", "an", "t", "s", "i")
"""jieba's tags of words that stand for something: names, things, doings, qualities, times, places, idioms."""


def chinese_words(text: str) -> list[str]:
    """The words of a Chinese text, marks of punctuation among them; joined they are the text.

    Raises:
        ImportError: jieba is not installed.

    >>> chinese_words("春天的公园里有很多孩子。")
    ['春天', '的', '公园', '里', '有', '很多', '孩子', '。']
    """
    segmenter = _segmenter()
    with _without_warnings():
        return [str(word) for word in segmenter.cut(text)]


def dictionary() -> Mapping[str, int]:
    """The words of jieba's dictionary, with how often they stood in its corpus; prefixes of words have 0.

    Raises:
        ImportError: jieba is not installed.

    >>> words = dictionary()
    >>> words["春天"] > words["耳语"] > 0, "春天的" in words
    (True, False)
    """
    words: Mapping[str, int] = _segmenter().FREQ
    return words


@cache
def chinese_total() -> int:
    """How often the words of jieba's dictionary stood in its corpus, all together."""
    return sum(dictionary().values())


def words_log_prob(text: str) -> float:
    """log p in nats of the likeliest cut of a text into words of jieba's dictionary, each by its frequency.

    A character that is no word there counts as a word that stood in its corpus once.

    Raises:
        ImportError: jieba is not installed.

    >>> words_log_prob("春天来了") > words_log_prob("春夭来了")
    True
    """
    logs, once = _word_logs(), -math.log(chinese_total())
    size = len(text)
    best = [0.0] + [-math.inf] * size
    for start in range(size):
        here = best[start]
        best[start + 1] = max(best[start + 1], here + max(logs.get(text[start], once), once))
        for end in range(start + 2, size + 1):
            log_p = logs.get(text[start:end])
            if log_p is None:
                break  # nothing longer begins so
            if here + log_p > best[end]:
                best[end] = here + log_p
    return best[-1]


@cache
def _word_logs() -> Mapping[str, float]:
    """log p of the words of jieba's dictionary; prefixes of words have -inf."""
    total = math.log(chinese_total())
    return {word: math.log(count) - total if count else -math.inf for word, count in dictionary().items()}


def words_near(text: str, start: int, meant: Sequence[Collection[str]]) -> list[str]:
    """Words of jieba's dictionary, of two to four characters, two of them other than what a text has at `start`.

    Args:
        text: as it is written.
        start: where the words begin.
        meant: of each character of the text, what else it may have been meant to be.

    Raises:
        ImportError: jieba is not installed.

    >>> words_near("真借说", 0, [{"直"}, {"接"}, set()])
    ['直接']
    """
    words, found = dictionary(), list[str]()

    def grow(begun: str, changed: int) -> None:
        place = start + len(begun)
        if changed == _CHANGES and words[begun]:
            found.append(begun)
        if len(begun) == _LONGEST or place == len(text):
            return
        ways = [(text[place], changed)]
        if changed < _CHANGES:
            ways += [(one, changed + 1) for one in sorted(meant[place])]
        for one, count in ways:
            if begun + one in words:
                grow(begun + one, count)

    grow("", 0)
    return found


def chinese_keywords(text: str, most: int = 3, *, by: str = "tf-idf") -> list[str]:
    """At most `most` keywords of a Chinese text, the most important first.

    Args:
        text: any Chinese text.
        most: keywords wanted; fewer come back from a short text.
        by: "tf-idf", with the document frequencies that come with jieba; or "textrank", from the text alone, which
            wants a few sentences.

    Raises:
        ValueError: `most` or `by` cannot be meant.
        ImportError: jieba is not installed.

    >>> chinese_keywords("春天的公园里有很多孩子在玩耍。")
    ['玩耍', '春天', '公园']
    >>> chinese_keywords("春天的公园里有很多孩子在玩耍。", by="textrank")
    ['孩子', '公园', '玩耍']
    """
    _check_most(most)
    if by not in ("tf-idf", "textrank"):
        raise ValueError(f"by={by!r} is neither 'tf-idf' nor 'textrank'")
    rank = _rankers()[by]
    with _without_warnings():
        # both leave out words of one character; a number is no keyword
        found = rank(text, topK=None, allowPOS=_MEANING)
    return [str(word) for word in found if not re.search(r"[\d\W]", word)][:most]


def english_keywords(text: str, most: int = 3) -> list[str]:
    """At most `most` keywords of an English text, case folded, the most informative first.

    Raises:
        ValueError: `most` cannot be meant.
        ImportError: wordfreq is not installed.

    >>> english_keywords("The old gardener was watering some roses, and the roses were red.")
    ['roses', 'gardener', 'watering']
    """
    _check_most(most)
    words = [word.replace("’", "'").casefold().removesuffix("'s") for word in _ENGLISH.findall(text)]
    counts = Counter(words)
    bits = {word: _bits(word) for word in counts}
    told = [word for word in counts if bits[word] > _PLAIN_BITS and "'" not in word]
    return sorted(told, key=lambda word: -counts[word] * bits[word])[:most]


def english_share(word: str, least: float) -> float:
    """How many of all English words are this one; at least `least`.

    Raises:
        ImportError: wordfreq is not installed.
    """
    try:
        with _without_warnings():
            from wordfreq import word_frequency
    except ImportError as error:
        raise ImportError("English keywords need wordfreq: pip install 'textsearch-sampling[tasks]'") from error
    return float(word_frequency(word, "en", minimum=least))


def _bits(word: str) -> float:
    """-log2 of how frequent an English word is; one that is unknown counts as one in a hundred million."""
    return -math.log2(english_share(word, 1e-8))


def tagged(text: str) -> list[tuple[str, str]]:
    """The words of a text that joined are the text, each with jieba's tag of its part of speech.

    Raises:
        ImportError: jieba is not installed.

    >>> tagged("春风吹")
    [('春风', 'n'), ('吹', 'v')]
    """
    return [(one.word, one.flag) for one in _tagger().cut(text)]


_PREDICATES = ("a", "z", "i", "l")  # adjectives, descriptions, idioms, set phrases
_MARKS = frozenset("，。！？；：、,.!?;:")


@lru_cache(maxsize=100_000)
def says_something(text: str) -> bool:
    """Whether a Chinese text has a verb, or an adjective that a clause ends with, by jieba's tags.

    A verb that is used as a noun is none.

    Raises:
        ImportError: jieba is not installed.

    >>> says_something("他在公园里跑。"), says_something("森林茂密。"), says_something("著名画家、电影演员。")
    (True, True, False)
    """
    words = tagged(text)
    behind = [word for word, _ in words[1:]] + ["。"]
    return any(
        (tag.startswith("v") and tag != "vn") or (tag.startswith(_PREDICATES) and after in _MARKS)
        for (_, tag), after in zip(words, behind, strict=True)
    )


def _check_most(most: int) -> None:
    if most < 1:
        raise ValueError(f"most={most} must be at least 1 keyword")


@cache
def _segmenter() -> Any:
    """jieba's segmenter."""
    with _without_warnings():
        try:
            import jieba
        except ImportError as error:
            raise ImportError("Chinese words need jieba: pip install 'textsearch-sampling[chinese]'") from error
        from textsearch.cache import cache_folder

        # its parsed dictionary is kept in the user's own cache: by default it would be in a folder open to everybody
        cache_folder().mkdir(parents=True, exist_ok=True)
        jieba.setLogLevel("WARNING")
        segmenter = jieba.Tokenizer()
        segmenter.tmp_dir = str(cache_folder())
        segmenter.initialize()
    return segmenter


@cache
def _tagger() -> Any:
    """jieba's tagger, on the same dictionary."""
    segmenter = _segmenter()
    with _without_warnings():
        import jieba.posseg

        return jieba.posseg.POSTokenizer(segmenter)


@cache
def _rankers() -> dict[str, Any]:
    """jieba's ways to weigh words, on the same dictionary."""
    segmenter, tags = _segmenter(), _tagger()
    with _without_warnings():
        import jieba.analyse

        tf_idf, text_rank = jieba.analyse.TFIDF(), jieba.analyse.TextRank()
        tf_idf.tokenizer, tf_idf.postokenizer = segmenter, tags
        text_rank.tokenizer = text_rank.postokenizer = tags
    return {"tf-idf": tf_idf.extract_tags, "textrank": text_rank.textrank}


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Silence jieba, which leaves files open and is written for older Pythons: no caller can mend that."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
