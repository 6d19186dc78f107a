"""`generate`: the one entry. Light to import; torch and the models load when it runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textsearch.batch import Batch
    from textsearch.loop import Callback, Rule
    from textsearch.objective import Objective
    from textsearch.result import Generations
    from textsearch.sampler import Sampler


def generate(
    objective: Objective,
    sampler: Sampler[Any],
    inputs: Batch | Sequence[str],
    *,
    steps: int,
    seed: int,
    chains: int = 1,
    temperature: float = 1.0,
    warm_up: int = 0,
    keep_every: int | None = None,
    until: Rule | None = None,
    progress: bool = False,
    callbacks: Sequence[Callback] = (),
) -> Generations:
    """Run `sampler` on `objective` from the given texts.

    All chains of all inputs run in one batch. A chain is a function of (seed, its number) alone: chain c of input i is
    number i * chains + c.

    Args:
        objective: the energy E; sums such as `Fluency(lm) + 5.0 * Keywords(words)` are objectives.
        sampler: the kernel.
        inputs: the texts to start from, or a `Batch` of them (with frozen tokens, say).
        steps: T, steps of every chain.
        seed: the same seed gives the same texts.
        chains: chains started from each input.
        temperature: draws come from exp(-E / temperature).
        warm_up: steps at the start that do not count: no samples are kept of them, and statistics leave them out.
        keep_every: keep the texts after every so many steps, a thinned record, in `samples`.
        until: stop early once this says so, asked after every step: see `textsearch.until`.
        progress: show a live line with speed, acceptance and the best text so far.
        callbacks: each is called after every step with a `Progress`; the run stops once one returns True.

    Returns:
        The final and the best texts, their energies per term, acceptance rates and the trace. Ctrl-C returns what
        there is.

    Raises:
        ValueError: an argument that cannot be meant, a start that a term forbids, or an energy of nan.

    >>> from samplers import MetropolisHastings
    >>> from samplers.proposals import Replace
    >>> from textsearch import FunctionObjective
    >>> from textsearch.testing import TableMaskedLM, letters
    >>> sampler = MetropolisHastings(Replace(TableMaskedLM.random(letters("ab"), seed=0)))
    >>> vowels = FunctionObjective(lambda texts: [-3.0 * text.count("a") for text in texts], name="vowels")
    >>> result = generate(vowels, sampler, ["bb", "bbb"], steps=60, seed=1, chains=2)
    >>> result.best_texts
    ['aa', 'aa', 'aaa', 'aaa']
    """
    least_values = (("steps", steps, 0), ("chains", chains, 1), ("warm_up", warm_up, 0), ("keep_every", keep_every, 1))
    for name, value, least in least_values:
        if (value is not None or name != "keep_every") and (
            isinstance(value, bool) or not isinstance(value, int) or value < least
        ):
            raise ValueError(f"{name}={value!r} must be a whole number of at least {least}")
    if not temperature > 0:
        raise ValueError(f"temperature={temperature} must be above 0; for a pure search anneal to a small value")
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise ValueError(f"seed={seed!r} must be a whole number")
    from textsearch.loop import run

    def start(callbacks: Sequence[Callback]) -> Generations:
        return run(
            objective,
            sampler,
            inputs,
            steps=steps,
            seed=seed,
            chains=chains,
            temperature=temperature,
            warm_up=warm_up,
            keep_every=keep_every,
            until=until,
            callbacks=callbacks,
        )

    if not progress:
        return start(callbacks)
    from textsearch.display import live

    with live() as show:
        return start([*callbacks, show])
