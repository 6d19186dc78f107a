"""Sentences from keywords at equal passes: the CGMH rule, best of n drafts, and `textsearch.tasks.keywords`.

    python -m benchmarks.keywords commongen.dev.jsonl keywords_kqg.dev.txt --size quick --out results

A file holds a set a line: words apart by spaces, or, in a file that ends in `jsonl`, {"concepts": [...],
"references": [...]}. The task runs first; the two others then get as many tokens of the causal model as it read,
padding counted: the currency of the comparison. Brackets are 95 % intervals by the bootstrap over sets.
Prints one table a file and the sentences, and writes `keywords.json` with all of it.

- CGMH: `benchmarks.cgmh` on -log p(x) of the causal model without a request, one chain a set, begun as the
  keywords in their order with a full stop; the best text of the chain.
- best of n: drafts of the causal model after the task's own request; of those that hold most keywords the likeliest.
- textsearch: the best of the task's chains.

`quick` is 4 sets a file, `full` 40. Sets that were run in parts (`--skip`) are put together by

    python -m benchmarks.keywords --together part1/keywords.json part2/keywords.json

which prints one table for all of them, and how far the task is below each other row in nats/token, set by set.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any, final

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.cgmh import CGMH
from benchmarks.intervals import Interval, interval, mean_of, shown
from benchmarks.ngram_scores import cider_d, corpus_bleu, held_keywords
from objectives import Fluency, FluencyPerToken, Keywords
from objectives.keywords import words
from samplers.starts.drafts import one_sentence
from textsearch import generate
from textsearch.models import causal_lm, masked_lm
from textsearch.models.causal import TransformersCausalLM
from textsearch.models.guided import GuidedMaskedLM
from textsearch.models.masked import TransformersMaskedLM
from textsearch.result.diagnostics import distinct_n
from textsearch.rng import Rng
from textsearch.tasks.keyword_sentences import DRAFT_TEMPERATURE, energy, keywords, request

DRAFTS = 16
"""Drafts that best of n writes at a time."""


@final
@dataclass(frozen=True)
class Size:
    """How many sets of a file, and what the task spends on each."""

    sets: int
    drafts: int
    chains: int
    steps: int


SIZES = {"quick": Size(4, 32, 4, 30), "full": Size(40, 32, 4, 60)}


@final
@dataclass(frozen=True)
class Item:
    """A set of keywords and its references, perhaps none."""

    words: tuple[str, ...]
    references: tuple[str, ...]


@final
@dataclass(frozen=True)
class Answers:
    """A sentence for each item, and what it took: texts and tokens that the causal model read, seconds."""

    texts: tuple[str, ...]
    rows: int
    tokens: int
    seconds: float


def items(path: Path) -> list[Item]:
    """The sets of a file."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    if path.suffix == ".jsonl":
        records = [json.loads(line) for line in lines]
        return [Item(tuple(record["concepts"]), tuple(record["references"])) for record in records]
    return [Item(tuple(line.split()), ()) for line in lines]


def ours(
    lm: TransformersCausalLM, masked: TransformersMaskedLM, sets: Sequence[Item], size: Size, seed: int
) -> tuple[str, ...]:
    """The best sentence of the task for each set."""
    result = keywords(
        [item.words for item in sets],
        chains=size.chains,
        steps=size.steps,
        drafts=size.drafts,
        seed=seed,
        causal=lm,
        masked=masked,
    )
    ranked = list(result.ranked())
    return tuple(
        next(result.best_texts[row] for row in ranked if result.inputs[row] == number) for number in range(len(sets))
    )


def best_of_n(lm: TransformersCausalLM, sets: Sequence[Item], tokens: float, seed: int) -> tuple[str, ...]:
    """Of as many drafts as `tokens` allow, those that hold most keywords, and of these the likeliest."""
    before, best = lm.usage.tokens, []
    for number, item in enumerate(sets):
        prompt = request(lm, item.words)
        fluency = Fluency(lm, prompt)
        ranks: dict[str, tuple[int, float]] = {"": (0, 0.0)}
        for attempt in count():
            if attempt and lm.usage.tokens - before >= tokens * (number + 1) / len(sets):
                break
            rng = Rng.start(seed, DRAFTS, number=number, purpose="best of n").at(attempt)
            written = lm.continuations(prompt, rng, temperature=DRAFT_TEMPERATURE, most=32)
            fresh = [text for text in dict.fromkeys(map(one_sentence, written)) if text and text not in ranks]
            held = [held_keywords(text, item.words, lm.vocabulary)[0] for text in fresh]
            # what holds fewer words than another need not be judged
            most = max([*held, *(-own for own, _ in ranks.values())])
            full = [text for text, own in zip(fresh, held, strict=True) if own == most]
            if full:
                energies = fluency.energy(lm.vocabulary.encode(full)).tolist()
                ranks |= {text: (-most, value) for text, value in zip(full, energies, strict=True)}
        best.append(min(ranks, key=lambda text: ranks[text]))
    return tuple(best)


def cgmh(
    lm: TransformersCausalLM,
    masked: TransformersMaskedLM,
    sets: Sequence[Item],
    tokens: float,
    seed: int,
    candidates: int,
) -> tuple[str, ...]:
    """The best text of one chain for each set."""
    wanted = [item.words for item in sets]
    batch = masked.vocabulary.encode([" ".join(own) + "." for own in wanted])
    batch = batch.frozen(torch.arange(batch.width) >= batch.lengths[:, None] - 1)
    before = lm.usage.tokens
    result = generate(
        Fluency(lm) + Keywords(wanted, inflections=True),
        CGMH(GuidedMaskedLM(masked, lm), candidates),
        batch,
        steps=100_000,
        seed=seed,
        until=lambda _: lm.usage.tokens - before >= tokens,
    )
    return tuple(result.best_texts)


def measured(lm: TransformersCausalLM, work: Callable[..., tuple[str, ...]], *settings: Any) -> Answers:
    """What `work` answers, given a model that remembers nothing."""
    fresh = lm.forgetful()
    began = time.perf_counter()
    texts = work(fresh, *settings)
    return Answers(texts, fresh.usage.rows, fresh.usage.tokens, time.perf_counter() - began)


def figures(texts: Sequence[str], sets: Sequence[Item], lm: TransformersCausalLM, seed: int) -> dict[str, Interval]:
    """Every figure of the sentences, with its interval."""
    held = [held_keywords(text, item.words, lm.vocabulary) for text, item in zip(texts, sets, strict=True)]
    batch = lm.vocabulary.encode(texts)
    fluency = FluencyPerToken(lm).energy(batch).numpy()
    total = len(sets)

    def one(values: Sequence[float]) -> Interval:
        return interval(total, mean_of(values), seed)

    found = {
        "coverage %": one([100 * some / of for some, of in held]),
        "all words %": one([100.0 * (some == of) for some, of in held]),
        "nats/token": one(fluency.tolist()),
        "words": one([float(sum(map(str.isalnum, words(text)))) for text in texts]),
    }
    if all(item.references for item in sets):
        references = [item.references for item in sets]
        found["BLEU"] = interval(total, corpus_bleu(texts, references), seed, draws=500)
        found["CIDEr-D"] = one(cider_d(texts, references).tolist())
    return found


def variety(texts: Sequence[str]) -> dict[str, float]:
    """Share of different n-grams; no interval, since sets drawn twice would repeat their n-grams."""
    return {f"distinct-{n}": distinct_n(texts, n, words) for n in (1, 2, 3)}


def failures(lm: TransformersCausalLM, sets: Sequence[Item], texts: Sequence[str]) -> dict[str, int]:
    """Whether references that hold all the words score lower or higher energy than the task's sentences.

    A reference of lower energy is a search failure: something better was there to be found. Where every reference has
    a higher one the model prefers its own sentence to people's: if that reads worse, the failure is the model's.
    """
    judge = energy(lm, [item.words for item in sets])
    counts = {"sets with such a reference": 0, "search failures": 0, "all references higher": 0}
    for number, (item, text) in enumerate(zip(sets, texts, strict=True)):
        written = [text, *map(sentence, item.references)]
        batch = lm.vocabulary.encode(written)
        energies = judge.energy(replace(batch, inputs=torch.full_like(batch.inputs, number)))
        mine, best = float(energies[0]), float(energies[1:].min()) if item.references else math.inf
        if best < math.inf:
            counts["sets with such a reference"] += 1
            counts["search failures" if best < mine else "all references higher"] += 1
    return counts


def sentence(text: str) -> str:
    """A reference with the capital and the full stop that some lack.

    >>> sentence("dogs run ")
    'Dogs run.'
    """
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def table(name: str, rows: dict[str, dict[str, Any]], total: int) -> Table:
    """One line a row, one column a figure."""
    drawn = Table(title=f"{name}: {total} sets")
    drawn.add_column("")
    figured = list(next(iter(rows.values()))["figures"])
    for column in (*figured, "distinct-1/2/3", "rows", "tokens", "seconds"):
        drawn.add_column(column, justify="right")
    for label, row in rows.items():
        cells = [shown(tuple(row["figures"][one]), 2 if one in ("nats/token", "CIDEr-D") else 1) for one in figured]
        spent = row["answers"]
        drawn.add_row(
            label,
            *cells,
            " ".join(f"{value:.2f}" for value in row["variety"].values()),
            f"{spent['rows']:,}",
            f"{spent['tokens']:,}",
            f"{spent['seconds']:.0f}",
        )
    return drawn


def together(paths: Sequence[Path], lm: TransformersCausalLM, seed: int, console: Console) -> None:
    """One table for the sets of several files that this benchmark wrote, and differences in nats/token set by set."""
    parts = [part for path in paths for part in json.loads(path.read_text(encoding="utf-8")).values()]
    sets = [Item(tuple(told["words"]), tuple(told["references"])) for part in parts for told in part["sets"]]
    rows: dict[str, dict[str, Any]] = {}
    nats: dict[str, list[float]] = {}
    for name in parts[0]["rows"]:
        answers = [part["rows"][name]["answers"] for part in parts]
        texts = [text for answer in answers for text in answer["texts"]]
        rows[name] = {
            "figures": figures(texts, sets, lm, seed),
            "variety": variety(texts),
            "answers": {spent: sum(answer[spent] for answer in answers) for spent in ("rows", "tokens", "seconds")},
        }
        nats[name] = FluencyPerToken(lm).energy(lm.vocabulary.encode(texts)).tolist()
    console.print(table("together", rows, len(sets)))
    own = nats.pop("textsearch")
    for name, others in nats.items():
        below = interval(len(sets), mean_of([other - mine for other, mine in zip(others, own, strict=True)]), seed)
        console.print(f"textsearch is {shown(below, 2)} nats/token below {name}, set by set", highlight=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="*", help="files of keyword sets")
    parser.add_argument("--together", type=Path, nargs="+", default=[], help="files that parts of a run wrote")
    parser.add_argument("--size", choices=SIZES, default="quick")
    parser.add_argument("--skip", type=int, default=0, help="sets at the beginning of each file to leave out")
    parser.add_argument("--sets", type=int, help="of each file; by default the size's")
    parser.add_argument("--drafts", type=int, help="of the task; by default the size's")
    parser.add_argument("--chains", type=int, help="of the task; by default the size's")
    parser.add_argument("--steps", type=int, help="of the task; by default the size's")
    parser.add_argument("--candidates", type=int, default=20, help="words that CGMH tries in each gap")
    parser.add_argument("--causal", help="model; by default the task's")
    parser.add_argument("--masked", help="model; by default the task's")
    parser.add_argument("--out", type=Path, default=Path())
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int)
    args = parser.parse_args()
    if bool(args.data) == bool(args.together):
        parser.error("name files of keyword sets, or with --together what parts of a run wrote")
    if lost := [str(path) for path in (*args.data, *args.together) if not path.is_file()]:
        parser.error(f"{', '.join(lost)}: no such file")
    if args.threads:
        torch.set_num_threads(args.threads)
    if args.together:
        together(args.together, causal_lm(args.causal), args.seed, Console(width=220))
        return
    args.out.mkdir(parents=True, exist_ok=True)
    own = {name: getattr(args, name) for name in ("sets", "drafts", "chains", "steps")}
    size = replace(SIZES[args.size], **{name: value for name, value in own.items() if value is not None})
    lm, masked = causal_lm(args.causal), masked_lm(args.masked)
    console = Console(width=220)
    written: dict[str, Any] = {}
    for path in args.data:
        sets = items(path)[args.skip : args.skip + size.sets]
        if not sets:
            parser.error(f"{path} has no sets behind the first {args.skip}")
        answers = {"textsearch": measured(lm, ours, masked, sets, size, args.seed)}
        budget = answers["textsearch"].tokens
        answers["best of n"] = measured(lm, best_of_n, sets, budget, args.seed)
        answers["CGMH"] = measured(lm, cgmh, masked, sets, budget, args.seed, args.candidates)
        rows = {
            name: {
                "figures": figures(answer.texts, sets, lm, args.seed),
                "variety": variety(answer.texts),
                "answers": asdict(answer),
            }
            for name, answer in answers.items()
        }
        found = written[path.name] = {"sets": [asdict(item) for item in sets], "settings": asdict(size), "rows": rows}
        console.print(table(path.name, rows, len(sets)))
        if all(item.references for item in sets):
            references = [sentence(text) for item in sets for text in item.references]
            nats = FluencyPerToken(lm).energy(lm.vocabulary.encode(references))
            found["references"] = {"nats/token": float(nats.mean()), "variety": variety(references)}
            found["failures"] = failures(lm, sets, answers["textsearch"].texts)
            console.print(f"references: {float(nats.mean()):.2f} nats/token; {found['failures']}")
        for number, item in enumerate(sets):
            console.print(" ".join(item.words), style="bold", markup=False, soft_wrap=True)
            for name, answer in answers.items():
                console.print(f"  {name:12s} {answer.texts[number]}", markup=False, highlight=False, soft_wrap=True)
        (args.out / "keywords.json").write_text(json.dumps(written, ensure_ascii=False, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
