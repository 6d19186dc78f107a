"""New words: cohesion and freedom against plain counts, in blocks and by threads, and what is found in a corpus."""

from __future__ import annotations

import math
import random
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from textsearch.tasks import mining
from textsearch.tasks.mining import mine

WORDS = ["蝴蝶", "葡萄", "拖拉机", "我", "看", "有", "大", "小", "的", "在"]
NAMES = ["new york", "hong kong", "the", "a", "cat", "saw", "big", "red", "in", "hat"]


def corpus(lang: str, lines: int = 300) -> list[str]:
    """Sentences of words at random; some with a comma in the middle."""
    rng = random.Random(3)
    joint = "" if lang == "zh" else " "
    texts = []
    for _ in range(lines):
        own = rng.choices(WORDS if lang == "zh" else NAMES, k=rng.randint(2, 9))
        if rng.random() < 0.5:
            own.insert(1, "，" if lang == "zh" else ",")
        texts.append(joint.join(own) + ("。" if lang == "zh" else "."))
    return texts


def plain(texts: Sequence[str], lang: str, longest: int, least: int) -> dict[str, tuple[int, float, float]]:
    """Count, cohesion and freedom of every string that stands there often enough, from the definitions."""
    counts: Counter[tuple[str, ...]] = Counter()
    beside: tuple[dict[tuple[str, ...], Counter[object]], ...] = (defaultdict(Counter), defaultdict(Counter))
    for text in texts:
        for run in re.split("[，。]" if lang == "zh" else "[,.]", text):
            parts = list(run) if lang == "zh" else run.split()
            for size in range(1, longest + 1):
                for start in range(len(parts) - size + 1):
                    own = tuple(parts[start : start + size])
                    counts[own] += 1
                    stop = start + size
                    beside[0][own][parts[start - 1] if start else object()] += 1
                    beside[1][own][parts[stop] if stop < len(parts) else object()] += 1
    total = sum(count for own, count in counts.items() if len(own) == 1)
    found = {}
    for own, count in counts.items():
        if len(own) > 1 and count >= least:
            held = min(math.log(count * total / (counts[own[:cut]] * counts[own[cut:]])) for cut in range(1, len(own)))
            free = min(-sum(n / count * math.log(n / count) for n in side[own].values()) for side in beside)
            found[("" if lang == "zh" else " ").join(own)] = (count, held, free)
    return found


every_language = pytest.mark.parametrize("lang", ["zh", "en"])


def told(texts: Sequence[str], lang: str, **settings: object) -> dict[str, tuple[int, float, float]]:
    terms = mine(texts, lang=lang, longest=3, least=4, cohesion=-99, freedom=-99, grammar=True, **settings)  # type: ignore[arg-type]
    return {term.text: (term.count, term.cohesion, term.freedom) for term in terms}


def difference(one: dict[str, tuple[int, float, float]], other: dict[str, tuple[int, float, float]]) -> float:
    assert one.keys() == other.keys()
    return max(float(np.abs(np.subtract(one[text], other[text])).max()) for text in one)


@every_language
def test_strings_have_the_cohesion_and_freedom_of_plain_counts(lang: str) -> None:
    texts = corpus(lang)
    found = told(texts, lang)
    assert len(found) > 50
    assert difference(found, plain(texts, lang, 3, 4)) < 1e-9


@every_language
@pytest.mark.parametrize("fault", ["boundaries are one neighbour", "the most favourable cut"])
def test_another_measure_is_told_apart(lang: str, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = corpus(lang)
    if fault == "the most favourable cut":
        monkeypatch.setattr(np, "min", np.max)
    else:
        # an end that is counted as any other token
        monkeypatch.setattr(mining, "_begins", lambda tables, size: 2**62)
    found = told(texts, lang)
    monkeypatch.undo()
    assert difference(found, plain(texts, lang, 3, 4)) > 0.1


def test_blocks_and_threads_change_nothing(tmp_path: Path) -> None:
    texts = corpus("zh")
    whole = mine(texts, lang="zh", least=4)
    assert mine(iter(texts), lang="zh", least=4, workers=2, scratch=tmp_path) == whole
    parts = mine(texts, lang="zh", least=4, block=100, workers=2, scratch=tmp_path)
    assert mine(texts, lang="zh", least=4, block=100) == parts
    # sums of other parts round otherwise
    assert [(term.text, term.count) for term in parts] == [(term.text, term.count) for term in whole]
    assert [term.score for term in parts] == pytest.approx([term.score for term in whole], rel=1e-12)
    assert not list(tmp_path.iterdir())


def test_words_are_found_and_chance_meetings_are_not() -> None:
    zh = [term.text for term in mine(corpus("zh", 1000), lang="zh", longest=3)]
    assert sorted(zh) == sorted(["蝴蝶", "葡萄", "拖拉机"])
    assert sorted(term.text for term in mine(corpus("en", 1000), longest=3)) == ["hong kong", "new york"]


def test_strings_that_begin_or_end_with_a_small_word_are_grammar() -> None:
    texts = [f"{one} such as {other}" for one in "abcdefgh" for other in "ijklmnop"] * 2
    assert "such as" not in [term.text for term in mine(texts, cohesion=0.0)]
    assert "such as" in [term.text for term in mine(texts, cohesion=0.0, grammar=True)]


def test_what_cannot_be_meant_is_refused() -> None:
    with pytest.raises(ValueError, match=r"lang='fr' is not known: choose from en, zh"):
        mine(["a"], lang="fr")
    with pytest.raises(ValueError, match=r"longest=1 must be"):
        mine(["a"], longest=1)
    with pytest.raises(ValueError, match=r"the corpus holds nothing of lang='zh'"):
        mine(["a b c"], lang="zh")
