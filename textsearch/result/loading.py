"""`load`: a saved result, as it was."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textsearch.models.usage import Usage
from textsearch.result.generations import Acceptance, Generations
from textsearch.result.saving import PLAIN, TABLES, read
from textsearch.sampler import Guarantee

if TYPE_CHECKING:
    from textsearch.batch import Vocabulary


def load(folder: str | os.PathLike[str], vocabulary: Vocabulary | None = None) -> Generations:
    """The result that `result.save(folder)` kept; no model is needed.

    Large arrays are mapped into memory: what is looked at is read, and nothing else.

    Args:
        folder: where it is.
        vocabulary: that of the sampler, for what goes by tokens: going on from `result.batch`. Texts, energies, traces
            and statistics are there without it.

    Raises:
        ValueError: there is no result, it is not what was written there, or it is of another vocabulary.

    >>> import tempfile
    >>> from samplers import MetropolisHastings
    >>> from samplers.proposals import Replace
    >>> from textsearch import FunctionObjective, generate
    >>> from textsearch.testing import TableMaskedLM, letters
    >>> sampler = MetropolisHastings(Replace(TableMaskedLM.random(letters("ab"), seed=0)))
    >>> few_a = FunctionObjective(lambda texts: [0.5 * text.count("a") for text in texts], name="few a")
    >>> result = generate(few_a, sampler, ["aaa"], steps=20, seed=0, chains=2)
    >>> with tempfile.TemporaryDirectory() as place:
    ...     result.save(f"{place}/run")
    ...     again = load(f"{place}/run")
    >>> again.texts == result.texts, bool((again.trace == result.trace).all())
    (True, True)
    """
    told, arrays, batches, samples = read(Path(folder), vocabulary)
    tables = {
        table: {name.removeprefix(f"{table}."): each for name, each in arrays.items() if name.startswith(f"{table}.")}
        for table in TABLES
    }
    parts: dict[str, Any] = {name: each for name, each in arrays.items() if "." not in name}
    parts |= tables | dict(batches) | {name: told[name] for name in PLAIN if name in told}
    return Generations(
        **parts,
        samples=samples,
        acceptance={kind: Acceptance(*counts) for kind, counts in told["acceptance"].items()},
        concerned=dict(told["concerned"]),
        guarantee=Guarantee(told["guarantee"]),
        usage={name: Usage(*counts) for name, counts in told["usage"].items()},
    )
