"""Which conditional terms know a paraphrase: log p(reference | its source) against log p(reference | another source).

    python -m benchmarks.conditional path/to/quora_paraphrase.dev.tsv --size quick --out results

The file is that of `benchmarks.paraphrase`. Two kinds of other sources: that of another row, and the nearest one, of
the highest cosine to the source among all of the file that are not the same. "beats": the share of rows where the
reference is likelier after its own source; brackets are 95 % intervals by the bootstrap over rows. "nats": of the
reference, a token of the model, after its own source, after another, after the nearest, and after none; "copy", of the
source itself after the source. "likelier than the copy": how often the reference is, as a whole text.

- UniLM: the packaged masked model read from left to right beside the source.
- causal, plain: SmolLM2 after "Two questions that mean the same, in different words.", the source, and "2.".
- causal, task: after the request with examples that `textsearch.tasks.paraphrase` makes.
- cosine: of the sentence encoder, which is no probability.
- With `--seq2seq PATH`, a sequence-to-sequence checkpoint that was trained to paraphrase; none is packaged.

`quick` is the first 60 rows, `full` the first 200: about 5 and 15 minutes on one core.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from benchmarks.intervals import Interval, interval, mean_of, shown
from benchmarks.paraphrase import items, surface
from textsearch.batch import Batch
from textsearch.models import causal_lm, masked_lm, sentence_encoder, seq2seq_lm
from textsearch.models.encoder import SentenceEncoder
from textsearch.models.protocols import ConditionalLM
from textsearch.models.unilm import UniLM
from textsearch.tasks.paraphrasing import request

SIZES = {"quick": 60, "full": 200}
GROUP = 16
"""Rows scored at once."""
Line = Mapping[str, Interval | float]
PLAIN = "Two questions that mean the same, in different words.\n1. {}\n2. "


def nearest(encoder: SentenceEncoder, texts: Sequence[str], among: Sequence[str]) -> tuple[list[str], Tensor]:
    """For each text the most similar one of `among` that is another, and its cosine."""
    cosine = encoder.encode(texts) @ encoder.encode(among).T
    for row, text in enumerate(texts):
        same = [column for column, other in enumerate(among) if other.lower() == text.lower()]
        cosine[row, same] = -1.0
    best = cosine.max(1)
    return [among[column] for column in best.indices.tolist()], best.values


def scores(model: ConditionalLM, texts: Batch, sources: Sequence[str]) -> tuple[Tensor, Tensor]:
    """log p of each text after its source, and its tokens."""
    parts = [
        model.score(texts.rows(list(range(at, min(at + GROUP, len(texts))))), list(sources[at : at + GROUP]))
        for at in range(0, len(texts), GROUP)
    ]
    return torch.cat([part.log_prob for part in parts]), torch.cat([part.tokens for part in parts]).double()


def figures(own: Tensor, others: Mapping[str, Tensor], seed: int) -> Line:
    """How often a reference does better after its own source than after each of the others."""
    return {
        f"beats {name}": interval(len(own), mean_of((100.0 * (own > other).double()).numpy()), seed)
        for name, other in others.items()
    }


def measure(
    model: ConditionalLM,
    write: Callable[[str], str],
    rows: Mapping[str, Sequence[str]],
    references: Batch,
    copies: Batch,
) -> Line:
    """A model's line of the table; `write` makes what the model reads of a source."""
    found = {
        name: scores(model, references, [write(source) for source in sources])[0] for name, sources in rows.items()
    }
    none, tokens = scores(model, references, [""] * len(references))
    copy, its_tokens = scores(model, copies, [write(source) for source in rows["own"]])
    others = {name: value for name, value in found.items() if name != "own"}
    line: dict[str, Interval | float] = {**figures(found["own"], others, seed=0)}
    line |= {f"nats, {name}": float(-value.sum() / tokens.sum()) for name, value in found.items()}
    line["nats, none"] = float(-none.sum() / tokens.sum())
    line["nats, copy"] = float(-copy.sum() / its_tokens.sum())
    line["likelier than the copy"] = float(100 * (found["own"] > copy).double().mean())
    return line


def main() -> None:
    """Print the table and write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path, help="the file")
    parser.add_argument("--size", choices=SIZES, default="quick")
    parser.add_argument("--seq2seq", help="a sequence-to-sequence checkpoint to measure too")
    parser.add_argument("--terms", nargs="*", help="only these; the others' lines stay as they are in conditional.json")
    parser.add_argument("--out", type=Path, default=Path("results"), help="folder for conditional.json")
    options = parser.parse_args()
    console = Console(width=180)
    every = items(options.path)
    encoder, masked, causal = sentence_encoder(), masked_lm(), causal_lm()
    # as the masked model writes them: its chains are what the terms are for
    sources, references = (
        masked.vocabulary.encode([surface(getattr(item, part)) for item in every]).texts()
        for part in ("source", "reference")
    )
    count = min(SIZES[options.size], len(every))
    near, cosine = nearest(encoder, sources[:count], sources)
    rows = {"own": sources[:count], "another": [*sources[1:count], sources[0]], "nearest": near}
    console.print(f"{count} rows; cosine of a source to its nearest {float(cosine.mean()):.2f}")
    for own, reference, other in zip(sources[:5], references[:5], near[:5], strict=True):
        console.print(f"  {own} | {reference} | nearest: {other}", highlight=False)
    texts, copies = masked.vocabulary.encode(references[:count]), masked.vocabulary.encode(sources[:count])

    def cosines() -> Line:
        own, *others = ((encoder.encode(given) * encoder.encode(references[:count])).sum(1) for given in rows.values())
        return figures(own, dict(zip(("another", "nearest"), others, strict=True)), seed=0)

    def of(load: Callable[[], ConditionalLM], write: Callable[[str], str] = str) -> Callable[[], Line]:
        return lambda: measure(load(), write, rows, texts, copies)

    terms: dict[str, Callable[[], Line]] = {
        "cosine": cosines,
        "UniLM": of(lambda: UniLM(masked)),
        "causal, plain": of(lambda: causal, PLAIN.format),
        "causal, task": of(lambda: causal, lambda source: request(causal, source)),
    }
    if options.seq2seq:
        terms["seq2seq"] = of(lambda: seq2seq_lm(options.seq2seq))
    kept = options.out / "conditional.json"
    kept.parent.mkdir(parents=True, exist_ok=True)
    lines: dict[str, Line] = json.loads(kept.read_text()) if options.terms and kept.exists() else {}
    for name in options.terms or terms:
        lines[name] = terms[name]()
        kept.write_text(json.dumps(lines, indent=1))
    columns = list(dict.fromkeys(column for line in lines.values() for column in line))
    table = Table("term", *columns)
    for name, line in lines.items():
        table.add_row(name, *(_shown(line[column]) if column in line else "" for column in columns))
    console.print(table)


def _shown(value: Interval | float) -> str:
    if isinstance(value, float):
        return f"{value:.2f}"
    middle, low, high = value
    return shown((middle, low, high))


if __name__ == "__main__":
    main()
