"""Sentences from keywords, every sampler with the same start, the same moves and the same budget of model passes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import sacrebleu
from numpy.typing import NDArray

from benchmarks.intervals import Figure, interval, mean_of
from objectives import FluencyPerToken, Keywords
from samplers import AdaptiveTemperature, MetropolisHastings, MultipleTry, ParallelTempering, SimulatedAnnealing
from textsearch.models import causal_lm
from textsearch.proposal import Proposal
from textsearch.result.diagnostics import distinct_n
from textsearch.run.until import Budget
from textsearch.sampler import Sampler
from textsearch.schedule import geometric
from textsearch.tasks import keywords


def samplers(steps: int) -> Mapping[str, Callable[[Proposal], Sampler[Any]]]:
    """Name -> what makes a sampler of the task's moves; `steps` is how many a budget lasts for the cheapest."""
    return {
        "no sampler: the drafts": MetropolisHastings,
        "Metropolis-Hastings": MetropolisHastings,
        "simulated annealing": lambda moves: SimulatedAnnealing(
            MetropolisHastings(moves), geometric(1.0, 0.2, max(steps, 1))
        ),
        "adaptive temperature": lambda moves: AdaptiveTemperature(MetropolisHastings(moves), warm_up=steps // 2),
        "multiple-try, 3": lambda moves: MultipleTry(moves, 3),
        "parallel tempering, 3 rungs": lambda moves: ParallelTempering(MetropolisHastings(moves), (1.0, 1.5, 2.25)),
    }


def records(
    path: Path, *, sets: int, chains: int, rows: float, seed: int, tell: Callable[[str], None]
) -> dict[str, dict[str, Any]]:
    """Name -> figures of every sampler on the first `sets` lines {"concepts": [...], "references": [...]}."""
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()[:sets]]
    wanted = [line["concepts"] for line in lines]
    references = [line["references"] for line in lines]
    lm = causal_lm()
    found: dict[str, dict[str, Any]] = {}
    total = rows * sets * chains
    # a step of plain Metropolis-Hastings reads about five texts a chain: two of each proposal model, one energy
    for name, make in samplers(round(rows / 5)).items():
        steps = 0 if name.startswith("no sampler") else 100_000
        result = keywords(wanted, chains=chains, steps=steps, seed=seed, sampler=make, until=Budget(rows=total))
        ranked = list(result.ranked())
        best = [
            next(result.best_texts[row] for row in ranked if result.inputs[row] == number) for number in range(sets)
        ]
        vocabulary = result.batch.vocabulary
        nats = FluencyPerToken(lm).energy(lm.vocabulary.encode(best)).numpy()
        held = np.concatenate(
            [
                (Keywords(words, inflections=True).energy(vocabulary.encode([text])) == 0).numpy()
                for words, text in zip(wanted, best, strict=True)
            ]
        )
        last = [[result.texts[row] for row in np.flatnonzero(result.inputs == number)] for number in range(sets)]
        varied = [distinct_n(texts, 2) for texts in last]
        energies = [result.best_energies[result.inputs == number].min() for number in range(sets)]
        figures = {
            "coverage": interval(sets, mean_of(held), seed),
            "energy": interval(sets, mean_of(energies), seed),
            "nats/token": interval(sets, mean_of(nats), seed),
            "BLEU": interval(sets, _bleu(best, references), seed, draws=200),
            "unique 2-grams": interval(sets, mean_of(varied), seed),
        }
        found[name] = {
            "guarantee": str(result.guarantee),
            "steps": result.steps,
            "rows": sum(usage.rows for usage in result.usage.values()),
            "hits": sum(usage.hits for usage in result.usage.values()),
            "seconds": result.seconds,
            "figures": figures,
            "texts": best,
        }
        tell(f"{name}: {result.steps} steps, {found[name]['rows']} rows, {result.seconds:.0f} s")
    return found


def _bleu(texts: Sequence[str], references: Sequence[Sequence[str]]) -> Figure:
    """Corpus BLEU of the chosen texts; sets with fewer references repeat their last."""
    most = max(map(len, references))
    filled = [[*own, *[own[-1]] * (most - len(own))] for own in references]

    def figure(chosen: NDArray[np.int64]) -> float:
        streams = [[filled[i][number] for i in chosen] for number in range(most)]
        return float(sacrebleu.corpus_bleu([texts[i] for i in chosen], streams).score)

    return figure
