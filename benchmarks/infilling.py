"""Text infilling after the protocol of DISCS (Goshvadi et al., 2023), every sampler with the same budget.

Of each sentence four words are masked; 25 chains fill them in, and the five of the lowest energy count. Quality is
corpus BLEU against the sentences as they were and the energy itself; diversity is self-BLEU (low is varied) and the
share of n-grams that are different.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import numpy as np
import sacrebleu
import torch
from numpy.typing import NDArray

from benchmarks.intervals import Interval, interval, mean_of
from objectives import Fluency
from samplers import Cycle, Gibbs, MaskedResampling, MetropolisHastings, MultipleTry, ParallelTempering
from samplers.proposals import AllSites, BlockInfill, LocallyBalanced, Mixture, PathAuxiliary, Replace
from samplers.starts.fill import fill_masks
from textsearch import Batch, generate
from textsearch.batch import concatenate
from textsearch.models.causal import TransformersCausalLM
from textsearch.models.masked import TransformersMaskedLM
from textsearch.result.diagnostics import distinct_n
from textsearch.run.until import Budget
from textsearch.sampler import Sampler

MASKED, TOP = 4, 5


def samplers(model: TransformersMaskedLM) -> Mapping[str, Sampler[Any]]:
    """Those that keep a text's length, in their everyday forms."""
    one = Replace(model, pieces=(1.0,))
    blocks = Mixture({one: 1.0, BlockInfill(model, words=(2,), pieces=(1.0,)): 1.0})
    return {
        "Metropolis-Hastings, one word": MetropolisHastings(one),
        "Metropolis-Hastings, mixture of blocks": MetropolisHastings(blocks),
        "multiple-try, 4 of one word": MultipleTry(one, 4),
        "Gibbs, 8 candidates, in turn with one word": Cycle([Gibbs(model, 8), MetropolisHastings(one)]),
        "locally balanced": MetropolisHastings(LocallyBalanced(model)),
        "path-auxiliary, 2 sites": MetropolisHastings(PathAuxiliary(model, sites=2)),
        "all sites at once": MetropolisHastings(AllSites(model, step_size=1.0)),
        "parallel tempering, 3 rungs": ParallelTempering(MetropolisHastings(one), (1.0, 1.6, 2.5)),
        "uncorrected resampling": MaskedResampling(model),
    }


@final
@dataclass(frozen=True, eq=False)
class Task:
    """Sentences with gaps.

    Attributes:
        sentences: as they were.
        masked: one row each, four tokens of it masks, the others frozen.
    """

    sentences: Sequence[str]
    masked: Batch

    @staticmethod
    def of(path: Path, model: TransformersMaskedLM, count: int, seed: int) -> Task:
        """`count` sentences of 10 to 20 words that the model's tokens write back as they are, four words masked."""
        rng = np.random.default_rng(seed)
        vocabulary = model.vocabulary
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
        lines = [line for line in lines if 10 <= len(line.split()) <= 20]
        sentences: list[str] = []
        rows: list[Batch] = []
        for index in rng.permutation(len(lines)):
            batch = vocabulary.encode([lines[index]])
            starts = batch.word_starts[0]
            alone = starts & torch.nn.functional.pad(starts[1:], (0, 1), value=True)
            plain = alone & torch.tensor([vocabulary.pieces[token].isalpha() for token in batch.tokens[0].tolist()])
            if batch.texts() != [lines[index]] or int(plain.sum()) < MASKED:
                continue
            chosen = torch.from_numpy(rng.permutation(plain.nonzero()[:, 0].numpy())[:MASKED])
            tokens = batch.tokens.index_fill(1, chosen, vocabulary.mask_id)
            rows.append(replace(batch, tokens=tokens, inputs=torch.tensor([len(rows)])))
            sentences.append(lines[index])
            if len(rows) == count:
                return Task(sentences, concatenate(rows))
        raise ValueError(f"{path} holds only {len(rows)} sentences that will do, not {count}: ask for fewer")


def records(
    task: Task,
    model: TransformersMaskedLM,
    lm: TransformersCausalLM,
    *,
    chains: int,
    rows: float,
    seed: int,
    tell: Callable[[str], None],
) -> dict[str, dict[str, Any]]:
    """Name -> figures of every sampler, each metric as (value, low, high) over sentences, and all its top texts."""
    start = fill_masks(model, task.masked.repeat(chains), seed)
    total = rows * len(start)
    found = {}
    for name, sampler in samplers(model).items():
        # every sampler pays for its own energies
        result = generate(Fluency(lm.forgetful()), sampler, start, steps=100_000, seed=seed, until=Budget(rows=total))
        tops = []
        for number in range(len(task.sentences)):
            own = np.flatnonzero(result.inputs == number)
            best = own[np.argsort(result.energies[own], kind="stable")][:TOP]
            tops.append([(result.texts[row], float(result.energies[row])) for row in best])
        figures = measure(task.sentences, [[text for text, _ in top] for top in tops], seed)
        energies = [np.mean([energy for _, energy in top]) for top in tops]
        figures["energy"] = interval(len(tops), mean_of(energies), seed)
        found[name] = {
            "guarantee": str(result.guarantee),
            "steps": result.steps,
            "rows": sum(usage.rows for usage in result.usage.values()),
            "hits": sum(usage.hits for usage in result.usage.values()),
            "seconds": result.seconds,
            "figures": figures,
            "texts": [[text for text, _ in top] for top in tops],
        }
        tell(f"{name}: {result.steps} steps, {found[name]['rows']} rows, {result.seconds:.0f} s")
    return found


def measure(sentences: Sequence[str], tops: Sequence[Sequence[str]], seed: int) -> dict[str, Interval]:
    """The protocol's figures over the top texts of each sentence, with intervals over sentences.

    >>> figures = measure(["a b c d e"], [["a b c d e", "a b c d e"]], seed=0)
    >>> round(figures["corpus BLEU"][0]), round(figures["self-BLEU"][0]), figures["unique 2-grams"][0]
    (100, 100, 0.5)
    """

    def corpus(chosen: NDArray[np.int64]) -> float:
        texts = [text for number in chosen for text in tops[number]]
        references = [sentences[number] for number in chosen for _ in tops[number]]
        return float(sacrebleu.corpus_bleu(texts, [references]).score)

    count = len(tops)
    return {
        "self-BLEU": interval(count, mean_of([_self_bleu(top) for top in tops]), seed),
        "corpus BLEU": interval(count, corpus, seed, draws=200),
        "unique 2-grams": interval(count, mean_of([distinct_n(list(top), 2) for top in tops]), seed),
        "unique 4-grams": interval(count, mean_of([distinct_n(list(top), 4) for top in tops]), seed),
    }


def _self_bleu(texts: Sequence[str]) -> float:
    """Mean BLEU of each text against the others; 0 for one alone."""
    if len(texts) < 2:
        return 0.0
    scores = [
        sacrebleu.sentence_bleu(text, [*texts[:number], *texts[number + 1 :]]).score
        for number, text in enumerate(texts)
    ]
    return float(np.mean(scores))
