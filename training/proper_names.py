"""List the words that English writes with capitals, counted in the corpus: what truecasing puts back.

A word counts if its capitalised form inside sentences is common and far more frequent than its lower-case form.

    python training/proper_names.py sentences.txt.gz > textsearch/language/proper_names_en.txt
"""

import argparse
import gzip
import re
from collections import Counter, defaultdict
from pathlib import Path

_WORD = re.compile(r"[A-Za-z]+|[.:\"“(]")


def proper_names(corpus: Path, least: int = 40, times: int = 12) -> list[str]:
    """Words seen capitalised within sentences at least `least` times, and `times` times as often as in lower case."""
    capital: dict[str, Counter[str]] = defaultdict(Counter)
    small: Counter[str] = Counter()
    with gzip.open(corpus, "rt", encoding="utf-8") as lines:
        for line in lines:
            before = "."
            for word in _WORD.findall(line):
                # after these a capital says nothing about the word
                if word[0].isalpha() and before not in '.:"“(':
                    if word[0].isupper():
                        capital[word.lower()][word] += 1
                    else:
                        small[word] += 1
                before = word
    return sorted(
        forms.most_common(1)[0][0]
        for word, forms in capital.items()
        if len(word) > 1 and forms.total() >= least and forms.total() > times * small[word]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    print("\n".join(proper_names(parser.parse_args().corpus)))


if __name__ == "__main__":
    main()
