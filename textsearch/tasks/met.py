"""The texts that a run has met, with how probable each is among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import final

import numpy as np

from textsearch import Generations

LISTED = 100
"""Texts that are listed for each input, at most."""


@final
@dataclass(frozen=True)
class Met:
    """A text, and what is known of it.

    Attributes:
        text: as it is shown.
        energy: in nats.
        terms: names -> weighted values of the terms that concern its input.
        probability: its share of the sum of exp(-energy / temperature) over the texts that are compared.
    """

    text: str
    energy: float
    terms: Mapping[str, float]
    probability: float


def listed(result: Generations, *, texts: Sequence[str], temperature: float, all_met: bool = True) -> Generations:
    """The result with a list of the texts that the chains of each input have met, the best first.

    Their probabilities are p(x) = exp(-E(x) / T) / sum of the same over all texts that were met: self-normalised. What
    no chain has met is missing from the sum, so they are upper bounds, and the nearer the more of the law was met.

    Args:
        result: with the texts that were kept on the way.
        texts: the inputs, as they are shown.
        temperature: T.
        all_met: list all of them, `LISTED` at most; or else the best texts of the chains alone.
    """
    found: list[list[Met]] = []
    for number in range(len(texts)):
        rows = np.flatnonzero(result.inputs == number).tolist()
        names = result.concerned[number]
        known: dict[str, tuple[float, dict[str, float]]] = {}
        for row in rows:
            best = {told: float(result.best_terms[name][row]) for name, told in names.items()}
            known[result.best_texts[row]] = (float(result.best_energies[row]), best)
        for sample, step in zip(result.samples, result.sample_steps, strict=True):
            for row in rows:
                if sample[row] not in known:
                    terms = {told: float(result.term_traces[name][step - 1, row]) for name, told in names.items()}
                    known[sample[row]] = (float(result.trace[step - 1, row]), terms)
        energies = np.array([energy for energy, _ in known.values()])
        weights = np.exp(-(energies - energies.min()) / temperature)
        shares = weights / weights.sum()
        every = [
            Met(text, energy, terms, float(share))
            for (text, (energy, terms)), share in zip(known.items(), shares, strict=True)
        ]
        wanted = set(known) if all_met else {result.best_texts[row] for row in rows}
        found.append(sorted((one for one in every if one.text in wanted), key=lambda one: one.energy)[:LISTED])
    return told_of(result, met=found, texts=texts)


def told_of(result: Generations, *, met: Sequence[Sequence[Met]], texts: Sequence[str]) -> Generations:
    """The result with these texts as its records; `texts` are the inputs, as they are shown."""
    records = [
        {
            "input": number,
            "text": one.text,
            "energy": one.energy,
            "probability": one.probability,
            "terms": dict(one.terms),
        }
        for number, own in enumerate(met)
        for one in own
    ]
    return replace(result, sources=list(texts), listed=tuple(records))
