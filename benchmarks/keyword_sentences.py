"""Sentences from keywords beside their references: do they hold the words, and how fluent are they?

    python benchmarks/keyword_sentences.py commongen.dev.jsonl --sets 20

Each line of the data is {"concepts": [...], "references": [...]}. Prints every sentence as it came, best of its set
first, then the share that hold all their keywords and the mean nats a token under the causal model, without any
prompt, of sentences, of the chains' last states, and of references.
"""

import argparse
import json
import time
from pathlib import Path

import torch

from objectives import FluencyPerToken, Keywords
from textsearch import Generations
from textsearch.models import causal_lm
from textsearch.models.causal import TransformersCausalLM
from textsearch.tasks import keywords


def nats(lm: TransformersCausalLM, texts: list[str]) -> str:
    """Mean and standard error of nats a token over the texts."""
    each = FluencyPerToken(lm).energy(lm.vocabulary.encode(texts))
    return f"{each.mean():.2f} +- {each.std() / len(texts) ** 0.5:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--sets", type=int, default=20)
    parser.add_argument("--chains", type=int, default=8)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--top", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--masked", help="masked model; by default the packaged one")
    parser.add_argument("--threads", type=int)
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)

    rows = [json.loads(line) for line in args.data.read_text(encoding="utf-8").splitlines()[: args.sets]]
    sets = [row["concepts"] for row in rows]
    began = time.perf_counter()
    result: Generations = keywords(
        sets,
        chains=args.chains,
        steps=args.steps,
        seed=args.seed,
        temperature=args.temperature,
        masked=args.masked,
    )
    seconds = time.perf_counter() - began

    best, held = [], 0
    for number, words in enumerate(sets):
        ranked = [row for row in result.ranked() if result.inputs[row] == number]
        texts = [result.best_texts[row] for row in ranked]
        lm_batch = result.batch.vocabulary.encode(texts)
        held += int((Keywords(words, inflections=True).energy(lm_batch) == 0).sum())
        best += texts[: args.top]
        print(f"{' '.join(words):40s} {result.best_energies[ranked[0]]:6.2f}  {texts[0]}")
        for row, text in zip(ranked[1 : args.top], texts[1 : args.top], strict=True):
            print(f"{'':40s} {result.best_energies[row]:6.2f}  {text}")
    total = len({(int(i), text) for i, text in zip(result.inputs, result.best_texts, strict=True)})
    lm = causal_lm()
    print(f"sentences that hold all their keywords: {held} of {total}")
    print(f"nats a token: best of each set    {nats(lm, best)}")
    print(f"              last states         {nats(lm, result.texts)}")
    print(f"              references          {nats(lm, [text for row in rows for text in row['references']])}")
    for kind, count in result.acceptance.items():
        print(f"{kind:16s} proposed {count.proposed:5d}  accepted {count.rate:.3f}")
    print(f"{len(result)} chains x {result.steps} steps: {result.seconds:.0f} s of {seconds:.0f} s in all")


if __name__ == "__main__":
    main()
