"""Calls that Python would refuse: what was forgotten, misspelt or out of place, told with what to write instead.

Loads nothing heavy.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from textsearch.kinds import shown

P = ParamSpec("P")
R = TypeVar("R")

NEEDED: Mapping[str, str] = {
    "objective": "objective, the energy of a text, such as Fluency() + Keywords(['dog'])",
    "sampler": "sampler, what makes the steps, such as MetropolisHastings()",
    "steps": "steps=, the steps of every chain, such as steps=200",
    "seed": "seed=, any whole number, such as seed=0: the same seed gives the same texts",
}
"""What an argument is for, where it is forgotten."""

ELSEWHERE: Mapping[str, tuple[str, ...]] = {
    "steps": ("n_steps", "nsteps", "n_trials", "n_iter", "iterations", "max_iter", "num_samples", "num_draws", "draws"),
    "seed": ("random_state", "random_seed", "rng", "rng_seed", "key", "rng_key", "generator"),
    "chains": ("nwalkers", "num_return_sequences", "walkers", "num_beams"),
    "warm_up": ("burn_in", "burnin", "num_warmup", "n_burn", "tune", "discard"),
    "thin": ("thin_by", "thinning", "save_every", "keep_every"),
    "inputs": ("texts", "initial_state", "init", "x0", "p0", "start", "starts", "prompt", "sources"),
    "until": ("stop", "stopping", "early_stopping", "tol", "timeout"),
    "progress": ("show_progress", "progress_bar", "progressbar", "verbose", "tqdm"),
    "batch_inputs": ("batch_size",),
    "objective": ("energy", "target", "log_prob", "logp"),
    "sampler": ("kernel", "moves", "proposal"),
}
"""What other libraries call it."""

_TWO = 2


def told(function: Callable[P, R]) -> Callable[P, R]:
    """A function whose calls are refused in words: of what is missing what it is for, of what is misspelt the nearest.

    >>> @told
    ... def run(objective, *, steps, seed):
    ...     return steps
    >>> run("e", stepz=3, seed=0)
    Traceback (most recent call last):
    ...
    TypeError: run() has no argument stepz=3: did you mean steps?
    """
    signature = inspect.signature(function)

    @wraps(function)
    def call(*arguments: P.args, **settings: P.kwargs) -> R:
        try:
            signature.bind(*arguments, **settings)
        except TypeError as error:
            raise TypeError(_refusal(function.__name__, signature, arguments, settings) or str(error)) from None
        return function(*arguments, **settings)

    return call


def nearest(name: str, known: list[str]) -> str | None:
    """What was meant by a name that there is not, if one can tell.

    >>> nearest("num_chains", ["steps", "chains"]), nearest("random_state", ["seed"]), nearest("colour", ["steps"])
    ('chains', 'seed', None)
    """
    for meant, others in ELSEWHERE.items():
        if name in others and meant in known:
            return meant
    found = get_close_matches(name, known, 1, 0.6)
    # a part of the word, or a word in part
    found += [one for one in known if len(min(one, name, key=len)) > _TWO and (one in name or one.startswith(name))]
    return found[0] if found else None


def _refusal(
    name: str, signature: inspect.Signature, arguments: tuple[Any, ...], settings: Mapping[str, Any]
) -> str | None:
    """What is wrong with a call."""
    parameters = signature.parameters
    by_place = [one for one, its in parameters.items() if its.kind is its.POSITIONAL_OR_KEYWORD]
    by_name = [one for one, its in parameters.items() if its.kind is its.KEYWORD_ONLY]
    takes_any = any(its.kind is its.VAR_KEYWORD for its in parameters.values())
    strange = [] if takes_any else [one for one in settings if one not in parameters]
    if strange:
        given = f"{strange[0]}={shown(settings[strange[0]])}"
        meant = nearest(strange[0], [one for one in parameters if one not in settings])
        remedy = f"did you mean {meant}?" if meant else f"it has {', '.join(parameters)}"
        return f"{name}() has no argument {given}: {remedy}"
    if len(arguments) > len(by_place):
        extra, names = shown(arguments[len(by_place)]), ", ".join(by_name)
        return f"{name}({', '.join(by_place)}) takes no more by place, such as {extra}: name it, one of {names}"
    if twice := [one for one in by_place[: len(arguments)] if one in settings]:
        return f"{name}() is given {twice[0]} twice, by place and by name: take one away"
    absent = [
        one
        for one, its in parameters.items()
        if its.default is its.empty and one in (*by_place[len(arguments) :], *by_name) and one not in settings
    ]
    return f"{name}() needs {', and '.join(NEEDED.get(one, one) for one in absent)}" if absent else None
