"""Train an n-gram model on a text file: interpolated modified Kneser-Ney (Chen and Goodman, 1999).

    python training/ngram.py sentences.txt.gz --characters --out folder
    python training/ngram.py sentences.txt.gz --tokenizer folder/of/a/model --cutoffs 0 0 1 --out folder

One text a line, plain or gzip. `textsearch.models.ngram_lm(folder)` loads what it writes. Prints as JSON what was kept,
the seconds, the largest memory, and how well it tells the texts of `--heldout`.
"""

import argparse
import json
import math
import resource
import sys
import time
from pathlib import Path
from typing import Any

from textsearch.batch import Batch
from textsearch.models import ngram_lm
from textsearch.models.checkpoints.loading import load_tokenizer
from textsearch.models.ngram.training import DIRECTIONS, characters_of, lines_of, train_ngrams

_AT_ONCE = 500  # texts


def heldout_figures(folder: Path, heldout: Path) -> dict[str, float]:
    """Perplexity a token, the ends of texts counted, and nats a token and a character, of the texts of a file."""
    loaded = ngram_lm(folder)
    vocabulary: Any = loaded.vocabulary
    texts = list(lines_of(heldout))
    nats = tokens = 0.0
    for start in range(0, len(texts), _AT_ONCE):
        batch = Batch.of(vocabulary.read(texts[start : start + _AT_ONCE]), vocabulary)
        scores = loaded.score(batch)
        nats, tokens = nats - float(scores.log_prob.sum()), tokens + float(scores.tokens.sum())
    characters = sum(len(text) + 1 for text in texts)
    figures = {"perplexity": math.exp(nats / tokens), "nats a token": nats / tokens}
    return {name: round(value, 4) for name, value in (figures | {"nats a character": nats / characters}).items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="folder of the model")
    tokens = parser.add_mutually_exclusive_group(required=True)
    tokens.add_argument("--tokenizer", help="folder or hub id of a model whose tokens are counted")
    tokens.add_argument("--characters", action="store_true", help="count characters")
    parser.add_argument("--least", type=int, default=3, help="times that a character must stand in the corpus")
    parser.add_argument("--order", type=int, default=5)
    parser.add_argument("--cutoffs", type=int, nargs="*", default=[], help="counts left out, from order 1 on")
    parser.add_argument("--direction", choices=DIRECTIONS, default=DIRECTIONS[0])
    parser.add_argument("--scratch", type=Path, help="folder for temporary files")
    parser.add_argument("--heldout", type=Path)
    given = parser.parse_args()
    if not given.corpus.is_file():
        sys.exit(f"there is no file {str(given.corpus)!r}: name a file with a text on each line")
    begun = time.perf_counter()
    if given.characters:
        tokenizer = characters_of(lines_of(given.corpus), given.least)
    else:
        tokenizer = load_tokenizer(given.tokenizer, trust_remote_code=False)
    tables = train_ngrams(
        lines_of(given.corpus),
        tokenizer,
        order=given.order,
        cutoffs=given.cutoffs,
        direction=given.direction,
        scratch=given.scratch,
    )
    tables.save(given.out)
    tokenizer.save_pretrained(given.out)
    told = {
        "tokens read": tables.settings.read,
        "n-grams": tables.settings.counts,
        "discounts": tables.settings.discounts,
        "seconds": round(time.perf_counter() - begun, 1),
        "memory, MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "files, MB": sum(file.stat().st_size for file in given.out.iterdir()) // 2**20,
    }
    print(json.dumps(told | (heldout_figures(given.out, given.heldout) if given.heldout else {}), indent=1))


if __name__ == "__main__":
    main()
