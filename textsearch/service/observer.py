"""What a step did, chain by chain, as plain data: the texts, the proposals, the ratio and what it was made of."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, final

from textsearch.objective import Evaluation
from textsearch.sampler import Weighed
from textsearch.service.events import number
from textsearch.watching import Search

if TYPE_CHECKING:
    from textsearch.run.loop import Progress


class Taken(NamedTuple):
    """How far a run has come: steps, seconds of them, tokens that models read."""

    steps: int = 0
    seconds: float = 0.0
    tokens: int = 0

    @staticmethod
    def of(event: Mapping[str, Any]) -> Taken:
        """What the event of a step says."""
        return Taken(event["step"], event["seconds"], event["tokens"])


@final
class Observer:
    """Gathers what samplers tell during a step, and makes an event of it once the step is over.

    Attributes:
        search: which of the searches of a problem is under way, from 0.
    """

    def __init__(self) -> None:
        self.search = 0
        self._weighed: list[Weighed] = []

    def hear(self, thing: object) -> None:
        """What `textsearch.watching` tells."""
        if isinstance(thing, Search):
            self.search = thing.number
            self._weighed = []
        elif isinstance(thing, Weighed):
            self._weighed.append(thing)

    def event(
        self, progress: Progress, names: tuple[str, ...], kinds: tuple[str, ...], before: Taken, steps: int
    ) -> dict[str, Any]:
        """The event of the step that `progress` tells of.

        Args:
            progress: of the search under way, which counts its own steps.
            names: of the terms.
            kinds: of moves.
            before: what the searches before it took.
            steps: of all searches.
        """
        weighed, self._weighed = self._weighed, []
        chains = len(progress.batch)
        now = progress.state.evaluation
        info = progress.info
        texts, best = progress.batch.texts(), progress.best.texts()
        terms = _terms(now, names)
        tries = _tries(weighed, chains, names)
        columns = zip(
            texts,
            now.energy.tolist(),
            terms,
            progress.batch.lengths.tolist(),
            info.accepted.tolist(),
            info.kind.tolist(),
            info.log_ratio.tolist(),
            best,
            progress.best_energies.tolist(),
            progress.best_steps.tolist(),
            progress.batch.inputs.tolist(),
            strict=True,
        )
        return {
            "kind": "step",
            "search": self.search,
            "step": before.steps + progress.step,
            "steps": steps,
            "seconds": before.seconds + progress.seconds,
            "tokens": before.tokens + sum(used.tokens for used in progress.usage.values()),
            "chains": [
                {
                    "input": own_input,
                    "text": text,
                    "energy": number(energy),
                    "terms": own_terms,
                    "length": length,
                    "accepted": accepted,
                    "move": kinds[kind] if 0 <= kind < len(kinds) else "",
                    "log_ratio": number(log_ratio),
                    **tries[row],
                    "best": lowest,
                    "best_energy": number(lowest_energy),
                    "best_step": best_step,
                }
                for row, (
                    text,
                    energy,
                    own_terms,
                    length,
                    accepted,
                    kind,
                    log_ratio,
                    lowest,
                    lowest_energy,
                    best_step,
                    own_input,
                ) in enumerate(columns)
            ],
        }


def _terms(evaluation: Evaluation, names: tuple[str, ...]) -> list[dict[str, float | str | None]]:
    """The terms of each row, by name; None where one was not worked out."""
    return [{name: number(value) for name, value in zip(names, row, strict=True)} for row in evaluation.terms.tolist()]


def _tries(weighed: list[Weighed], chains: int, names: tuple[str, ...]) -> list[dict[str, Any]]:
    """Of each chain the text before the step and its proposals, as far as the sampler told of them.

    Only the first moves that a sampler weighs are its proposals. What tells of other rows than the chains, such as
    those of a ladder of temperatures, is not looked at.
    """
    if not weighed or len(weighed[0].before) != chains * weighed[0].tries:
        return [{"before": None, "proposals": []} for _ in range(chains)]
    first, each = weighed[0], weighed[0].tries
    before, texts = first.before.texts(), first.move.batch.texts()
    here, there = first.here, first.there
    here_terms = _terms(here, names)
    there_terms = _terms(there, names)
    forward, backward = first.move.log_forward.tolist(), first.move.log_backward.tolist()
    energies = there.energy.tolist()
    # an energy of +inf that no term has forbidden was cut off: it lies above what could have been accepted
    found: list[dict[str, Any]] = []
    for row in range(chains):
        mine = range(row * each, (row + 1) * each)
        found.append(
            {
                "before": {
                    "text": before[mine[0]],
                    "energy": number(float(here.energy[mine[0]])),
                    "terms": here_terms[mine[0]],
                },
                "proposals": [
                    {
                        "text": texts[at],
                        "energy": number(energies[at]),
                        "whole": math.isfinite(energies[at]) or "inf" in there_terms[at].values(),
                        "terms": there_terms[at],
                        "log_forward": number(forward[at]),
                        "log_backward": number(backward[at]),
                    }
                    for at in mine
                ],
            }
        )
    return found
