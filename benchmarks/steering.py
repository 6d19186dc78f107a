"""Constrained writing measured: steering by a classifier, and how often mixes of hard constraints are met.

    python -m benchmarks.steering sst2.dev.tsv --size quick --out results.json

The file has lines of sentence, tab, label (1 positive, 0 negative) under a header. It is cut by a seed into two halves
for two classifiers, one that steers and one that judges, each with its threshold chosen on
the other's half, and rows held out.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.intervals import Interval, interval, mean_of, shown
from benchmarks.requests import MIXES, in_words
from objectives import FluencyPerToken
from samplers.starts.drafts import one_sentence
from textsearch.models import causal_lm
from textsearch.models.causal import TransformersCausalLM
from textsearch.models.classifier import LinearClassifier
from textsearch.models.protocols import asked
from textsearch.objective import evaluate
from textsearch.result.diagnostics import distinct_n
from textsearch.rng import Rng
from textsearch.tasks import resolve as given
from textsearch.tasks.prompts import wish
from textsearch.tasks.request import Request
from textsearch.tasks.settings import Writing
from textsearch.tasks.starts.beginnings import constraints, continued
from textsearch.tasks.writing import write

PROMPTS = (
    *("The book", "The chicken", "The city", "The country", "The horse"),
    *("The lake", "The last time", "The movie", "The painting", "The pizza"),
    *("The potato", "The president of the country", "The road", "The weather", "The year is 1910."),
)
"""The prefixes of plug-and-play generation (Dathathri et al., 2020)."""

LABELS = ("negative", "positive")
BEST = ("best of n, by the classifier", "best of n, by the energy")
WORDS = (6, 16)


@final
@dataclass(frozen=True)
class Size:
    """How much is run: prompts, texts for each prompt and label, steps, and requests of mixed constraints."""

    prompts: int
    chains: int
    steps: int
    mixes: int


SIZES = {"quick": Size(3, 2, 40, 8), "full": Size(15, 4, 150, 20)}


@final
@dataclass(frozen=True)
class Judge:
    """A classifier with the probability of "positive" from which it says so."""

    model: LinearClassifier
    threshold: float

    def positive(self, texts: Sequence[str]) -> NDArray[np.bool_]:
        """(B,) what it calls positive."""
        found = self.model.log_probs(texts)[:, LABELS.index("positive")].exp() >= self.threshold
        return np.asarray(found.numpy(), dtype=np.bool_)


def judges(path: Path, seed: int) -> tuple[Judge, Judge, dict[str, Any]]:
    """One to steer by, one to judge by, and what is known of them."""
    with path.open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    order = np.random.default_rng(seed).permutation(len(lines))
    texts = [lines[i]["sentence"] for i in order]
    labels = [LABELS[int(lines[i]["label"])] for i in order]
    part = round(0.39 * len(lines))
    halves = {"steering": slice(0, part), "judging": slice(part, 2 * part)}
    test = slice(2 * part, len(lines))
    truth = np.array([label == "positive" for label in labels])
    encoder = given.encoder(None)
    found, known = [], {}
    # neither classifier has seen the other's rows: thresholds are chosen there
    for (name, half), tune in zip(halves.items(), reversed(halves.values()), strict=True):
        model = LinearClassifier.fit(encoder, texts[half], labels[half], seed=seed)
        judge = _tuned(model, texts[tune], truth[tune])
        hits = judge.positive(texts[test]) == truth[test]
        known[name] = {
            "rows": half.stop - half.start,
            "threshold": judge.threshold,
            "accuracy at one half": float((Judge(model, 0.5).positive(texts[test]) == truth[test]).mean()),
            "accuracy": interval(len(hits), mean_of(hits), seed),
            "held-out rows": len(hits),
        }
        found.append(judge)
    return found[0], found[1], known


def _tuned(model: LinearClassifier, texts: Sequence[str], truth: NDArray[np.bool_]) -> Judge:
    """With the threshold of most hits, if these are more than a standard error above those of one half."""

    chances = model.log_probs(texts)[:, LABELS.index("positive")].exp().numpy()
    plain, *others = [
        (float(((chances >= threshold) == truth).mean()), threshold)
        for threshold in (0.5, 0.3, 0.35, 0.4, 0.45, 0.55, 0.6, 0.65, 0.7)
    ]
    best = max(others)
    error = (plain[0] * (1 - plain[0]) / len(texts)) ** 0.5
    return Judge(model, best[1] if best[0] > plain[0] + error else plain[1])


def sample(lm: TransformersCausalLM, prompt: str, request: Request, seed: int, tokens: float, least: int) -> list[str]:
    """The fit ones of the sentences that the model writes after the prompt, until it has read `tokens`."""
    start, found, tried = lm.usage.tokens, list[str](), 0
    while lm.usage.tokens - start < tokens or len(found) < least:
        if tried == 1600:
            raise RuntimeError(f"of {tried} drafts {len(found)} fit {request}: too few to compare with")
        with torch.inference_mode():
            rng = Rng.start(seed, 16, purpose="drafts to filter").at(tried)
            ends = lm.continuations(prompt + request.prefix, rng, top_p=0.95, most=32)
        texts = [text for end in ends if (text := continued(request.prefix, end))]
        found += [text for text, fits in zip(texts, kept([request], texts, [0] * len(texts)), strict=True) if fits]
        tried += 16
    return found


def answers(lm: TransformersCausalLM, request: str, seed: int, tokens: float) -> list[str]:
    """Sentences that the model answers a request with, until it has read `tokens`."""
    start, found = lm.usage.tokens, list[str]()
    while lm.usage.tokens - start < tokens:
        with torch.inference_mode():
            rng = Rng.start(seed, 16, purpose="answers").at(len(found))
            found += [one_sentence(text) or "." for text in lm.continuations(lm.ask(request), rng, top_p=0.95, most=32)]
    return found


def kept(requests: Sequence[Request], texts: Sequence[str], inputs: Sequence[int]) -> NDArray[np.bool_]:
    """(B,) whether each text keeps all hard constraints of its request, as the packaged tokenizer writes it."""
    vocabulary = given.masked(None).vocabulary
    terms = constraints(requests)
    fits = []
    for text, number in zip(texts, inputs, strict=True):
        try:
            batch = vocabulary.encode([text])
        except ValueError:  # a character that it cannot write
            fits.append(False)
            continue
        fits.append(bool(evaluate(terms, replace(batch, inputs=torch.tensor([number]))).energy[0] == 0))
    return np.array(fits, dtype=np.bool_)


def steering(path: Path, size: Size, seed: int, tell: Callable[[str], None], skip: int = 0) -> dict[str, Any]:
    """Figures of the rows, and all texts, of the prompts behind the first `skip`."""
    steers, judge, known = judges(path, seed)
    lm = causal_lm()
    prompts = PROMPTS[skip : skip + size.prompts]
    cells = [Request(prefix=prefix, label=label, words=WORDS) for prefix in prompts for label in LABELS]
    start = lm.usage.tokens
    result = write(cells, chains=size.chains, steps=size.steps, seed=seed, classifier=steers.model)
    spent = (lm.usage.tokens - start) / len(cells)
    tell(f"ours: {spent:.0f} tokens read by the causal model for each prompt and label, {result.seconds:.0f} s")
    texts: dict[str, list[list[str]]] = {name: [] for name in ("drafts", "drafts asked for", *BEST)}
    texts["ours"] = [
        [result.best_texts[row] for row in np.flatnonzero(result.inputs == number)] for number in range(len(cells))
    ]
    counts: list[float] = []
    lower: list[bool] = []
    for number, cell in enumerate(cells):
        # half of them go on from the prefix alone, half from the prefix after the label was asked for
        pools = [
            sample(lm, before, cell, seed + 2 * number + which, spent / 2, size.chains)
            for which, before in enumerate(("", asked(lm, wish(cell.topic, cell.label)) or ""))
        ]
        pool = pools[0] + pools[1]
        counts.append(len(pool) / size.chains)
        for name, own in zip(("drafts", "drafts asked for"), pools, strict=True):
            texts[name].append(own[: size.chains])
        scores = scored(lm, steers, cell, pool)
        for name, score in zip(BEST, scores, strict=True):
            groups = [int(score[i :: size.chains].argmax()) * size.chains + i for i in range(size.chains)]
            texts[name].append([pool[i] for i in groups])
        ours = scored(lm, steers, cell, texts["ours"][number])[1]
        lower += (ours < scored(lm, steers, cell, texts[BEST[1]][number])[1]).tolist()
    tell(f"drafts that keep prefix and length for each output: {np.mean(counts):.1f}")
    return {
        "classifiers": known,
        "tokens a cell": spent,
        "drafts an output": float(np.mean(counts)),
        "rows": {name: _figures(lm, cells, own, steers, judge, seed) for name, own in texts.items()},
        "failures": failures(cells, texts["ours"], judge, lower),
        "texts": [
            {"prefix": cell.prefix, "label": cell.label, **{name: own[i] for name, own in texts.items()}}
            for i, cell in enumerate(cells)
        ],
    }


def scored(lm: TransformersCausalLM, steers: Judge, cell: Request, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
    """(B,) the classifier's log-probability of the label that is wanted, and minus the energy of each text."""
    label = steers.model.log_probs(texts)[:, LABELS.index(cell.label)].double()
    return label, lm.score(lm.vocabulary.encode(texts)).log_prob + Writing.label_weight * label


def failures(
    cells: Sequence[Request], texts: Sequence[Sequence[str]], judge: Judge, lower: Sequence[bool]
) -> dict[str, int]:
    """Search failures: the best of n by the energy has a lower one than ours. Model failures: ours has the lower one,
    and the judge reads the other label in it.
    """
    right = [
        bool(hit)
        for cell, own in zip(cells, texts, strict=True)
        for hit in judge.positive(own) == (cell.label == "positive")
    ]
    pairs = list(zip(lower, right, strict=True))
    return {
        "outputs": len(pairs),
        "search failures": sum(lost for lost, _ in pairs),
        "model failures": sum(not lost and not fits for lost, fits in pairs),
    }


def _figures(
    lm: TransformersCausalLM,
    cells: Sequence[Request],
    texts: Sequence[Sequence[str]],
    steers: Judge,
    judge: Judge,
    seed: int,
) -> dict[str, Interval]:
    """Of the texts of each prompt and label, with intervals over prompts and labels."""
    flat = [text for own in texts for text in own]
    inputs = [number for number, own in enumerate(texts) for _ in own]
    wanted = np.array([cells[number].label == "positive" for number in inputs])

    def by_cell(values: NDArray[Any]) -> list[float]:
        return [float(values[np.array(inputs) == number].mean()) for number in range(len(cells))]

    nats = FluencyPerToken(lm).energy(lm.vocabulary.encode(flat)).numpy()
    columns = {
        "judged right": judge.positive(flat) == wanted,
        "steered right": steers.positive(flat) == wanted,
        "constraints kept": kept(cells, flat, inputs),
        "nats/token": nats,
    }
    figures = {name: interval(len(cells), mean_of(by_cell(values)), seed) for name, values in columns.items()}
    # within each prompt and label: a bootstrap repeats cells, and repeated texts are not distinct
    figures["distinct-2"] = interval(len(cells), mean_of([distinct_n(own, 2) for own in texts]), seed)
    return figures


def mixes(size: Size, seed: int, tell: Callable[[str], None]) -> dict[str, Any]:
    """How often the requests of `MIXES` are met, by a chat model asked for the same and by `write`."""
    lm = causal_lm()
    asks = MIXES[: size.mixes]
    requests = [Request.of(one) for one in asks]
    start = lm.usage.tokens
    steps = size.steps // 2
    result = write(requests, chains=size.chains, steps=steps, seed=seed)
    spent = (lm.usage.tokens - start) / len(requests)
    tell(f"ours: {spent:.0f} tokens read by the causal model for each request, {result.seconds:.0f} s")
    rows: dict[str, dict[str, list[float]]] = {
        name: {"texts kept": [], "requests met": [], "nats/token": []} for name in ("asked in words", "ours")
    }
    told = []
    for number, (one, request) in enumerate(zip(asks, requests, strict=True)):
        drafts = answers(lm, in_words(one), seed + number, spent)
        ours = [result.best_texts[row] for row in np.flatnonzero(result.inputs == number)]
        for name, texts in (("asked in words", drafts), ("ours", ours)):
            fits = kept([request], texts, [0] * len(texts))
            rows[name]["texts kept"].append(float(fits.mean()))
            rows[name]["requests met"].append(float(fits.any()))
            nats = FluencyPerToken(lm).energy(lm.vocabulary.encode(texts[: size.chains])).numpy()
            rows[name]["nats/token"].append(float(nats.mean()))
        told.append(
            {"request": str(request), "asked in words": drafts[: size.chains], "drafts": len(drafts), "ours": ours}
        )
    return {
        "tokens a request": spent,
        "rows": {
            name: {column: interval(len(requests), mean_of(values), seed) for column, values in own.items()}
            for name, own in rows.items()
        },
        "texts": told,
    }


def table(rows: dict[str, dict[str, Interval]]) -> str:
    """As Markdown."""
    columns = list(next(iter(rows.values())))
    lines = ["| | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name, own in rows.items():
        cells = [shown(own[column], 2) for column in columns]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("path", type=Path, help="sentences and labels, such as the development data of SST-2")
    parser.add_argument("--size", choices=list(SIZES), default="quick", help="quick: minutes; full: about an hour")
    parser.add_argument("--part", choices=["steering", "mixes", "both"], default="both")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--skip", type=int, default=0, help="prompts to leave out at the beginning")
    parser.add_argument("--out", type=Path, help="write all figures and texts as JSON")
    options = parser.parse_args(arguments)

    def tell(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    size = SIZES[options.size]
    found: dict[str, Any] = {"seed": options.seed, "size": asdict(size), "skip": options.skip}
    if options.part in {"steering", "both"}:
        found["steering"] = steering(options.path, size, options.seed, tell, options.skip)
        for name, known in found["steering"]["classifiers"].items():
            print(
                f"{name} classifier: accuracy {shown(known['accuracy'], 2)} on {known['held-out rows']} rows held out"
            )
        print(table(found["steering"]["rows"]))
        print(found["steering"]["failures"])
    if options.part in {"mixes", "both"}:
        found["mixes"] = mixes(size, options.seed, tell)
        print(table(found["mixes"]["rows"]))
    if options.out:
        options.out.write_text(json.dumps(found, ensure_ascii=False, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
