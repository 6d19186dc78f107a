"""`generate`, and `generate_each` for many inputs. Light to import; torch and the models load when they run."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from textsearch.calls import told
from textsearch.checks import Run, flag, folder_name, functions, real, run_of, strings, whole
from textsearch.kinds import BATCH, OBJECTIVE, SAMPLER, instance

if TYPE_CHECKING:
    from textsearch.batch import Batch
    from textsearch.objective import Objective
    from textsearch.result import Generations
    from textsearch.run.each import Answer
    from textsearch.run.keeper import Keeper
    from textsearch.run.loop import Callback, Rule
    from textsearch.sampler import Sampler


@told
def generate(
    objective: Objective,
    sampler: Sampler[Any],
    inputs: Batch | Sequence[str] | None = None,
    *,
    steps: int,
    seed: int,
    chains: int = 1,
    temperature: float = 1.0,
    warm_up: int = 0,
    thin: int | None = None,
    until: Rule | None = None,
    progress: bool = False,
    callbacks: Sequence[Callback] = (),
    numbers: Sequence[int] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    every: float = 60.0,
) -> Generations:
    """Run `sampler` on `objective` from the given texts.

    All chains of all inputs run in one batch. A chain is a function of its start and of (seed, number of its input,
    its own number among the chains of that input): what else is in the batch changes nothing.

    Args:
        objective: the energy E; sums such as `Fluency(lm) + 5.0 * Keywords(words)` are objectives.
        sampler: the kernel.
        inputs: the texts to start from, or a `Batch` of them. Without any, `chains` texts that the hard terms allow are
            written by the masked language model of the sampler, for each input that the terms know of; see
            `Objective.outline`. With frozen tokens, `batch.frozen(where)`, the law is
            that over the texts that can be reached without touching them, each counted once: see `textsearch.marks`.
        steps: T, steps of every chain.
        seed: the same seed gives the same texts.
        chains: chains started from each input.
        temperature: draws come from exp(-E / temperature).
        warm_up: steps at the start that do not count: no samples are kept of them, and statistics leave them out.
        thin: keep the texts after every so many steps, a thinned record, in `samples`.
        until: stop early once this says so, asked after every step: see `textsearch.run.until`.
        progress: show a live line with speed, acceptance and the best text so far.
        callbacks: each is called after every step with a `Progress`; the run stops once one returns True.
        numbers: of the inputs among all that there are, where these are a part of them: an input of one number has the
            same chains in whatever part it is. By default 0, 1, 2, ...
        checkpoint: a folder to keep the run in, so that the same call, made again after whatever stopped it, goes on
            with it and ends as the unbroken run would, bit for bit; more `steps` make it longer. What is recorded
            goes there too, and takes no memory. See `resume`.
        every: seconds from one checkpoint to the next: the most that a killed process loses.

    Returns:
        The final and the best texts, their energies per term, acceptance rates and the trace. Ctrl-C returns
        what it has so far.

    Raises:
        ValueError: an argument that cannot be meant, a start that a term forbids, or an energy of nan; a folder that
            holds another run, or a damaged one.
        OSError: another process runs in the folder, or it cannot be written to.
        Exception: whatever the energy, a callback or a rule raises; see `textsearch.partial_result`.

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
    callbacks = functions("callbacks", callbacks)
    told, inputs, warm_up, thin = _checked(
        objective,
        sampler,
        inputs,
        warm_up,
        thin,
        numbers,
        steps=steps,
        seed=seed,
        chains=chains,
        temperature=temperature,
        until=until,
        progress=progress,
    )
    return _kept(
        checkpoint,
        every,
        lambda keeper, callbacks: _run(
            objective,
            sampler,
            inputs,
            steps=told.steps,
            seed=told.seed,
            chains=told.chains,
            temperature=told.temperature,
            warm_up=warm_up,
            thin=thin,
            until=until,
            callbacks=callbacks,
            numbers=numbers,
            keeper=keeper,
        ),
        callbacks,
        progress,
    )


def resume(
    folder: str | os.PathLike[str],
    objective: Objective,
    sampler: Sampler[Any],
    *,
    steps: int | None = None,
    until: Rule | None = None,
    progress: bool = False,
    callbacks: Sequence[Callback] = (),
    every: float = 60.0,
) -> Generations:
    """Go on with a run that `generate(..., checkpoint=folder)` began, to the result of the unbroken run.

    Texts, energies, traces, moves, best texts and what a sampler adapts are bit for bit those of a run that nothing
    stopped. What models were asked, and the seconds, are those of all processes together.

    Args:
        folder: where the run is.
        objective: the energy that it began with.
        sampler: the kernel that it began with.
        steps: T, of the whole run; by default as many as it was last asked for. More of them are more of the same
            chains.
        until: as in `generate`; rules and callbacks are not kept in the folder.
        progress: as in `generate`.
        callbacks: as in `generate`; the steps are counted on.
        every: seconds from one checkpoint to the next.

    Raises:
        ValueError: the run began with another energy or kernel, has taken more steps, or is damaged; the message says
            what differs.
        OSError: another process runs in the folder, or it cannot be written to.

    >>> import tempfile
    >>> from samplers import MetropolisHastings
    >>> from samplers.proposals import Replace
    >>> from textsearch import FunctionObjective
    >>> from textsearch.testing import TableMaskedLM, letters
    >>> sampler = MetropolisHastings(Replace(TableMaskedLM.random(letters("ab"), seed=0)))
    >>> few_a = FunctionObjective(lambda texts: [3.0 * text.count("a") for text in texts], name="few a")
    >>> whole = generate(few_a, sampler, ["aaa"], steps=60, seed=1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     stopped = generate(few_a, sampler, ["aaa"], steps=40, seed=1, checkpoint=folder)
    ...     result = resume(folder, few_a, sampler, steps=60)
    >>> stopped.steps, result.steps, bool((result.trace == whole.trace).all())
    (40, 60, True)
    """
    callbacks, steps = functions("callbacks", callbacks), None if steps is None else whole("steps", steps)
    flag("progress", progress)
    instance("objective", objective, OBJECTIVE)
    instance("sampler", sampler, SAMPLER)

    if not Path(folder_name("folder", folder)).is_dir():
        raise ValueError(
            f"folder={os.fspath(folder)!r} is not there: generate(..., checkpoint=folder) begins a run in one"
        )

    def go_on(keeper: Keeper, callbacks: Sequence[Callback]) -> Generations:
        plan = keeper.plan()
        start = keeper.start(sampler.vocabulary)
        return _run(
            objective,
            sampler,
            start,
            steps=plan["steps"] if steps is None else steps,
            **plan["settings"],
            until=until,
            callbacks=callbacks,
            keeper=keeper,
        )

    return _kept(folder, every, go_on, callbacks, progress)


def _run(*arguments: Any, **settings: Any) -> Generations:
    from textsearch.run.loop import run

    return run(*arguments, **settings)


def _kept(
    folder: str | os.PathLike[str] | None,
    every: float,
    start: Callable[[Keeper, Sequence[Callback]], Generations],
    callbacks: Sequence[Callback],
    progress: bool,
) -> Generations:
    """Start a run that is kept in a folder, or in memory where there is none, with a live line if one is wanted."""
    place, every = _place(folder, every)
    from textsearch.run.keeper import kept

    with kept(place, every) as keeper:
        if not progress:
            return start(keeper, callbacks)
        from textsearch.result.display import live

        result: Generations | None = None
        try:
            with live() as show:
                result = start(keeper, [*callbacks, show])
        except KeyboardInterrupt:
            # while the line was taken away
            if result is None:
                raise
            result = replace(result, interrupted=True)
        return result


def _place(folder: str | os.PathLike[str] | None, every: float) -> tuple[Path | None, float]:
    """Where a run is kept and how often, checked."""
    place = None if folder is None else Path(folder_name("checkpoint", folder))
    return place, real("every", every, "be a number of seconds of at least 0", lambda x: 0 <= x < math.inf)


@told
def generate_each(
    objective: Objective,
    sampler: Sampler[Any],
    inputs: Batch | Sequence[str] | None = None,
    *,
    steps: int,
    seed: int,
    chains: int = 1,
    batch_inputs: int = 16,
    temperature: float = 1.0,
    warm_up: int = 0,
    thin: int | None = None,
    until: Rule | None = None,
    in_order: bool = False,
    numbers: Sequence[int] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    every: float = 60.0,
) -> Iterator[Answer]:
    """Run each input to its own end, the chains of `batch_inputs` of them in one batch that stays full.

    An input that is done, after `steps` steps of its own or once `until` says so of its chains alone, is answered and
    makes room for the next (continuous batching). Its chains are, bit for bit, those of `generate(..., inputs)` with
    the same seed: neither `batch_inputs` nor the other inputs change them.

    The chains of the sampler must be able to come and go: its state is a frozen dataclass of tensors with a row for
    each chain, and so is what it records. Those of all samplers here are.
    A sampler that goes by the step of the run, such as a `Cycle`, gets the chains of one step at a time. The answers
    are the same, but its batches are emptier. `SimulatedAnnealing` takes all chains together.

    An input that cannot be run, because a term forbids it, an energy is nan, or its rule raises an error, is answered
    with the error and with its result so far; the others go on. After Ctrl-C the inputs in the batch are answered with
    their results so far, and those that wait are not. The same happens before an error that no input has alone.

    Args:
        objective: the energy E.
        sampler: the kernel.
        inputs: the texts to start from, or a `Batch` of them; without any they are written, as in `generate`.
        steps: T, steps of every chain at most.
        seed: the same seed gives the same texts.
        chains: chains started from each input.
        batch_inputs: inputs whose chains share the batch.
        temperature: draws come from exp(-E / temperature).
        warm_up: steps at the start of each input that do not count.
        thin: keep the texts after every so many steps of an input.
        until: sees each input alone, after each of its steps: a rule of `textsearch.run.until`, such as `Settled` or
            `Reached`, or any of your own. What a `Budget` counts is the input's share of the cost, which is all that
            depends on what else is in the batch.
        in_order: answer in the order of the inputs; else as they get done.
        numbers: of the inputs among all that there are, for their random numbers, as in `generate`.
        checkpoint: a folder to keep the runs of the inputs in. The same call, made again after whatever stopped it,
            gives the answers that were there at once, and those of the others as if nothing had been.
        every: seconds from one checkpoint to the next: the most that a killed process loses.

    Raises:
        ValueError: an argument that cannot be meant.
        TypeError: a sampler whose chains cannot come and go.

    >>> from samplers import MetropolisHastings
    >>> from samplers.proposals import Replace
    >>> from textsearch import FunctionObjective
    >>> from textsearch.run.until import Reached
    >>> from textsearch.testing import TableMaskedLM, letters
    >>> sampler = MetropolisHastings(Replace(TableMaskedLM.random(letters("ab"), seed=0)))
    >>> vowels = FunctionObjective(lambda texts: [5.0 * text.count("b") for text in texts], name="vowels")
    >>> texts = ["bbbbbb", "b", "ba", "bab"]
    >>> for answer in generate_each(vowels, sampler, texts, steps=200, seed=1, batch_inputs=2, until=Reached(0.0)):
    ...     print(answer.number, answer.result.texts, answer.result.steps)
    1 ['a'] 3
    2 ['aa'] 1
    3 ['aaa'] 5
    0 ['aaaaaa'] 16
    """
    batch_inputs, in_order = whole("batch_inputs", batch_inputs, 1), flag("in_order", in_order)
    told, inputs, warm_up, thin = _checked(
        objective,
        sampler,
        inputs,
        warm_up,
        thin,
        numbers,
        steps=steps,
        seed=seed,
        chains=chains,
        temperature=temperature,
        until=until,
    )
    from textsearch.run.admission import run_each
    from textsearch.run.each import Plan

    place, every = _place(checkpoint, every)
    plan = Plan(
        objective,
        sampler,
        told.steps,
        told.seed,
        told.chains,
        told.temperature,
        warm_up,
        thin,
        until,
        numbers,
        place,
        every,
    )
    return run_each(plan, inputs, batch_inputs, in_order)


class _Call(NamedTuple):
    """Arguments of a run, checked, its numbers plain."""

    run: Run
    inputs: Batch | Sequence[str]
    warm_up: int
    thin: int | None


def _checked(
    objective: Objective,
    sampler: Sampler[Any],
    inputs: Batch | Sequence[str] | None,
    warm_up: int,
    thin: int | None,
    numbers: Sequence[int] | None,
    **settings: Any,
) -> _Call:
    """Refuse what cannot be meant, before anything heavy is loaded; then write texts to start from, if there are none.

    These are one for each chain.
    """
    told = run_of(**settings)
    warm_up = whole("warm_up", warm_up)
    thin = None if thin is None else whole("thin", thin, 1)
    instance("objective", objective, OBJECTIVE)
    instance("sampler", sampler, SAMPLER)
    if inputs is not None:
        return _Call(told, inputs if BATCH.of(inputs) else strings("inputs", inputs), warm_up, thin)
    from textsearch.run.starts import starts
    from textsearch.waiting import waiting

    with waiting("writing texts to start from", bool(settings.get("progress"))):
        begun = starts(objective, sampler, chains=told.chains, seed=told.seed, numbers=numbers)
    return _Call(told._replace(chains=1), begun, warm_up, thin)
