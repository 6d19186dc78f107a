"""Paraphrases of questions against references: copies, UPSA, the CGMH rule, and `textsearch.tasks.paraphrase`.

    python -m benchmarks.paraphrase path/to/quora_paraphrase.dev.tsv --size quick --out results

The file has a row a question, in columns apart by tabs: source, reference, the output of UPSA (Liu et al., 2020), all
lower-cased and cut into tokens. Models read and write plain text; what they wrote is put into the file's form before
it is compared. Brackets are 95 % intervals by the bootstrap over rows.

- BLEU: sentence BLEU to the reference, NLTK's smoothing method 1; "to source", the same to the source;
  iBLEU = .9 BLEU - .1 BLEU to source (Sun and Zhou, 2012). ROUGE-1 and -2 are F-measures.
- similar: cosine to the source by all-MiniLM-L6-v2, which our energy looks at, and by the mean of the masked model's
  last hidden states, which it does not.
- nats: of the causal model, a token. read: tokens that models read for a row, padding counted.
- best draft: the first of the texts that our chains start from.
- CGMH: `benchmarks.cgmh` on -log p(x) of the causal model, the source's keywords kept and 20 nats for a cosine of 0,
  one chain a row from the source, its last text; as many tokens of the causal model as ours.

It also counts, where the reference is the better text by iBLEU, search failures (it has a lower energy than our
output) and model failures (it has a higher one).

`quick` is the first 16 rows, `full` the first 200; CGMH is tried on the first 16 only, for its cost. Rows are done in
groups of 8 and kept in `paraphrase.json`; rows that are there already are not done again: a run may stop and go on.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, final

import regex
import torch
from rich.console import Console
from rich.table import Table

from benchmarks.cgmh import CGMH
from benchmarks.intervals import Interval, interval, mean_of, shown
from objectives import Fluency, FluencyPerToken, Keywords, Similarity
from objectives.word_preservation import keywords_of
from textsearch import generate, tasks
from textsearch.batch import Batch
from textsearch.models import causal_lm, masked_lm, sentence_encoder
from textsearch.models.causal import TransformersCausalLM
from textsearch.models.encoder import SentenceEncoder
from textsearch.models.masked import TransformersMaskedLM
from textsearch.models.usage import Usage
from textsearch.objective import evaluate
from textsearch.tasks import Paraphrasing, solve
from textsearch.tasks.paraphrasing import build

SIZES = {"quick": 16, "full": 200}
GROUP = 8
"""Rows done at once."""
CANDIDATES = 8
"""Of the CGMH rule."""
RIVALS = 16
"""The first rows, on which the CGMH rule is tried too."""
CHAINS, STEPS, POOL = 3, 20, 20
"""Of our task."""
SYSTEMS = ("copy", "UPSA", "CGMH", "best draft", "ours")


@final
@dataclass(frozen=True)
class Item:
    """A row of the file: source, reference, and what UPSA made of it."""

    source: str
    reference: str
    upsa: str


@final
@dataclass(frozen=True)
class Answer:
    """What was made of a row.

    Attributes:
        texts: system -> output, in the file's form.
        cosines: system -> by the two encoders.
        nats: system -> of the causal model, a token.
        read: system -> tokens that models read.
        energies: ours: of our output, and of the reference.
        seconds: ours.
    """

    texts: Mapping[str, str]
    cosines: Mapping[str, Sequence[float]]
    nats: Mapping[str, float]
    read: Mapping[str, float]
    energies: Mapping[str, float]
    seconds: float


def items(path: Path) -> list[Item]:
    """The rows."""
    lines = path.read_text(encoding="utf-8").splitlines()[1:]
    return [Item(*line.split("\t")) for line in lines]


def surface(text: str) -> str:
    """Plain text from the file's form: a question mark was dropped at the end, and others where three spaces are.

    >>> surface("what are vacuoles made of   what  ' s in them")
    "what are vacuoles made of? what's in them?"
    >>> surface("is paris   's traffic bad , or not")
    "is paris's traffic bad, or not?"
    """
    text = regex.sub(r"(?<=[a-z])   (?=[a-z])", "? ", text.strip())
    text = regex.sub(r"\s*'\s*(?=(?:s|t|re|ve|ll|d|m)\b)", "'", text)
    text = regex.sub(r"\s+([,.;:)])", r"\1", regex.sub(r"\s+", " ", text))
    return text.rstrip(".?! ") + "?"


def filed(text: str) -> str:
    """The file's form of plain text.

    >>> filed("What are vacuoles made of? You've said: it's Paris's.")
    "what are vacuoles made of you ' ve said : it 's paris 's"
    """
    text = regex.sub("[\u2018\u2019]", "'", text.lower().replace("-", " "))
    text = regex.sub(r"[.?!]+\s*$", "", regex.sub(r'[?!"\u201c\u201d]', " ", text))
    text = regex.sub(r"'", " ' ", regex.sub(r"(?<=\w)'(s|t)\b", r" @\1", text)).replace("@", "'")
    text = regex.sub(r"(?<!\d)([.])|([.])(?!\d)|([,;:()/])(?!\d)", r" \g<0> ", text)
    return " ".join(text.split())


@final
@dataclass(frozen=True, eq=False)
class Models:
    """What reads and writes."""

    lm: TransformersCausalLM = field(default_factory=causal_lm)
    masked: TransformersMaskedLM = field(default_factory=masked_lm)
    encoder: SentenceEncoder = field(default_factory=sentence_encoder)

    @cached_property
    def second_encoder(self) -> SentenceEncoder:
        """The masked model's body."""
        return SentenceEncoder(self.masked.model.base_model, self.masked.vocabulary.tokenizer, 128)

    def read(self) -> float:
        """Tokens read so far."""
        return float(sum(usage.tokens for usage in self.usages))

    @property
    def usages(self) -> Sequence[Usage]:
        """Of the three models."""
        return self.lm.usage, self.masked.usage, self.encoder.usage


def answers(models: Models, group: Sequence[Item], first: int, seed: int, with_cgmh: bool) -> list[Answer]:
    """All systems on some rows, those from number `first` on."""
    encode = models.masked.vocabulary.encode
    sources = encode([surface(item.source) for item in group])
    began, before, causal = time.perf_counter(), models.read(), models.lm.usage.tokens
    own = range(first, first + len(group))
    settings = Paraphrasing(chains=CHAINS, pool=POOL, steps=STEPS, seed=seed)
    given = tasks.Models(causal=models.lm, masked=models.masked, encoder=models.encoder)
    ready = build(sources.texts(), settings, given, numbers=own)
    drafts_read = models.read() - before
    found = solve(ready)
    ranked = list(found.ranked())
    best = [next(row for row in ranked if found.inputs[row] == number) for number in range(len(group))]
    seconds, causal = time.perf_counter() - began, models.lm.usage.tokens - causal
    ours_read, before = models.read() - before, models.read()
    rival, more = cgmh(models, sources, causal, seed, own) if with_cgmh else ([], 0)
    cgmh_read = models.read() - before + more

    references = encode([surface(item.reference) for item in group])
    with torch.inference_mode():
        better = evaluate(ready.objective, references).energy.tolist()
    texts = {
        "copy": [item.source for item in group],
        "UPSA": [item.upsa for item in group],
        "best draft": [filed(text) for text in ready.start.texts()[::CHAINS]],
        "ours": [filed(found.best_texts[row]) for row in best],
    }
    if with_cgmh:
        texts["CGMH"] = [filed(text) for text in rival]
    plain = {system: encode([surface(text) for text in own]) for system, own in texts.items()}
    with torch.inference_mode():
        nats = {system: FluencyPerToken(models.lm).energy(batch).tolist() for system, batch in plain.items()}
        cosines = {
            system: [
                Similarity(encoder, sources.texts()).cosines(batch).tolist()
                for encoder in (models.encoder, models.second_encoder)
            ]
            for system, batch in plain.items()
        }
    read = {"copy": 0.0, "UPSA": 0.0, "CGMH": cgmh_read, "best draft": drafts_read, "ours": ours_read}
    return [
        Answer(
            {system: own[number] for system, own in texts.items()},
            {system: [each[number] for each in own] for system, own in cosines.items()},
            {system: own[number] for system, own in nats.items()},
            {system: read[system] / len(group) for system in texts},
            {"ours": float(found.best_energies[best[number]]), "reference": better[number]},
            seconds / len(group),
        )
        for number in range(len(group))
    ]


def cgmh(models: Models, sources: Batch, tokens: float, seed: int, numbers: Sequence[int]) -> tuple[list[str], int]:
    """The last text of one chain a row, and the tokens that its own copy of the causal model read."""
    texts = sources.texts()
    start = sources.frozen(torch.arange(sources.width) >= sources.lengths[:, None] - 1)
    lm = models.lm.forgetful()
    objective = Fluency(lm) + Keywords([keywords_of(text) for text in texts]) + Similarity(models.encoder, texts)
    result = generate(
        objective,
        CGMH(models.masked, CANDIDATES),
        start,
        steps=200,
        seed=seed,
        numbers=numbers,
        until=lambda _: lm.usage.tokens >= tokens,
    )
    return result.texts, lm.usage.tokens


def figures(found: Sequence[Answer], rows: Sequence[Item], seed: int) -> dict[str, dict[str, Interval]]:
    """System -> metric -> mean with its interval, of the systems that were tried on all of these rows."""
    from rouge_score import rouge_scorer

    rouge = rouge_scorer.RougeScorer(["rouge1", "rouge2"])
    table: dict[str, dict[str, Interval]] = {}
    for system in (system for system in SYSTEMS if all(system in answer.texts for answer in found)):
        texts = [answer.texts[system] for answer in found]
        scores = [
            (bleu(text, row.reference), bleu(text, row.source), rouge.score(row.reference, text))
            for text, row in zip(texts, rows, strict=False)
        ]
        values = {
            "iBLEU": [0.9 * own - 0.1 * source for own, source, _ in scores],
            "BLEU": [own for own, _, _ in scores],
            "to source": [source for _, source, _ in scores],
            "ROUGE-1": [100 * score["rouge1"].fmeasure for _, _, score in scores],
            "ROUGE-2": [100 * score["rouge2"].fmeasure for _, _, score in scores],
            "similar": [answer.cosines[system][0] for answer in found],
            "similar, masked": [answer.cosines[system][1] for answer in found],
            "nats": [answer.nats[system] for answer in found],
            "read": [answer.read[system] for answer in found],
        }
        table[system] = {name: interval(len(found), mean_of(each), seed) for name, each in values.items()}
    return table


def bleu(text: str, reference: str) -> float:
    """Sentence BLEU in per cent."""
    from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

    method = SmoothingFunction().method1
    return 100.0 * float(sentence_bleu([reference.split()], text.split(), smoothing_function=method))


def failures(found: Sequence[Answer], rows: Sequence[Item]) -> dict[str, int]:
    """Where the reference is another text than ours: which of the two has the lower energy."""
    other = [answer for answer, row in zip(found, rows, strict=False) if answer.texts["ours"] != row.reference]
    search = sum(answer.energies["reference"] < answer.energies["ours"] for answer in other)
    return {"reference met": len(found) - len(other), "search": search, "model": len(other) - search}


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--size", choices=SIZES, default="quick")
    parser.add_argument("--rows", type=int, nargs=2, metavar=("FIRST", "STOP"), help="these rows instead, from 0 on")
    parser.add_argument("--out", type=Path, default=Path("results"), help="folder for paraphrase.json")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    first, stop = given.rows or (0, SIZES[given.size])
    given.out.mkdir(parents=True, exist_ok=True)
    kept = given.out / "paraphrase.json"
    rows = items(given.file)[first:stop]
    found: list[Answer] = []
    if kept.exists():
        found = [Answer(**record) for record in json.loads(kept.read_text(encoding="utf-8"))["rows"]][: len(rows)]
    models = Models() if len(found) < len(rows) else None
    while models and len(found) < len(rows):
        at = first + len(found)
        found += answers(models, rows[len(found) : len(found) + GROUP], at, given.seed, at < RIVALS)
        write(kept, found, rows, given.seed)
        print(f"{len(found)} of {len(rows)} rows", flush=True)
    show(write(kept, found, rows, given.seed))


def write(path: Path, found: Sequence[Answer], rows: Sequence[Item], seed: int) -> dict[str, Any]:
    """All that is known so far, kept."""
    tried = [answer for answer in found if "CGMH" in answer.texts]
    result = {
        "figures": figures(found, rows, seed),
        "figures of the rows that CGMH was tried on": figures(tried, rows, seed) if tried else {},
        "failures": failures(found, rows),
        "seconds": sum(answer.seconds for answer in found),
        "rows": [asdict(answer) for answer in found],
    }
    path.write_text(json.dumps(result, indent=1), encoding="utf-8")
    return result


def show(result: dict[str, Any]) -> None:
    """The tables."""
    console = Console(width=200)
    digits = {"similar": 3, "similar, masked": 3, "nats": 2, "read": 0}
    for title in ("figures", "figures of the rows that CGMH was tried on"):
        if systems := result[title]:
            table = Table("", *systems["ours"], title=title)
            for system, own in systems.items():
                table.add_row(system, *(shown(value, digits.get(name, 1)) for name, value in own.items()))
            console.print(table)
    console.print(f"{len(result['rows'])} rows; ours took {result['seconds']:.0f} s; {result['failures']}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
