"""Do the terms that carry a sentence come up when people ask about it? Ours beside YAKE, jieba's and plain information.

    python -m benchmarks.keywords_of questions.dev.tsv [--yake terms.json]

The file has a sentence and a question about it on each line, in small letters and cut into words. All questions about a
sentence are taken together; of the first 1, 3 and 5 words that a method names, told is the share that stand in one of
them, with 95 % intervals by the bootstrap over sentences. Small words are never counted: a method that names one is
wrong there. Questions leave out their own answer, so no method can come near 1; "all that carry something" names the
words of the sentence that are no grammar, in their order.

YAKE (Campos et al., 2020) is run elsewhere: `--yake` names a file with its terms for each sentence, {sentence: [term]},
and `--sentences` writes the sentences that it is to read.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.intervals import interval, mean_of, shown
from textsearch.language.mixed_up import small_words
from textsearch.language.segmentation import english_keywords
from textsearch.language.terms import keywords_of

FIRST = (1, 3, 5)


def words(terms: Sequence[str]) -> list[str]:
    """The words of terms, each once, in their order."""
    return list(dict.fromkeys(word for term in terms for word in term.casefold().split()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("questions", type=Path)
    parser.add_argument("--yake", type=Path)
    parser.add_argument("--sentences", type=Path)
    given = parser.parse_args()
    asked: dict[str, set[str]] = defaultdict(set)
    for line in given.questions.read_text(encoding="utf-8").splitlines():
        sentence, question = line.split("\t")[:2]
        asked[sentence] |= set(question.split()) - small_words().keys()
    if given.sentences:
        given.sentences.write_text(json.dumps(list(asked), ensure_ascii=False), encoding="utf-8")
    methods: dict[str, Callable[[str], Sequence[str]]] = {
        "keywords_of": lambda text: keywords_of(text, 10, lang="en"),
        "english_keywords, by information": lambda text: english_keywords(text, 10),
        "all that carry something": lambda text: sorted(keywords_of(text, 99, lang="en"), key=text.find),
    }
    if given.yake:
        told = json.loads(given.yake.read_text(encoding="utf-8"))
        methods["YAKE"] = lambda text: told[text]
    table = Table(f"{len(asked)} sentences", *[f"first {count}" for count in FIRST])
    for name, method in methods.items():
        hits = {count: list[float]() for count in FIRST}
        for sentence, wanted in asked.items():
            found = words(method(sentence))
            for count in FIRST:
                hits[count].append(sum(word in wanted for word in found[:count]) / count)
        row = [shown(interval(len(own), mean_of(own), seed=0), 3) for own in hits.values()]
        table.add_row(name, *row)
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
