"""Checks of arguments: each gives back the value as it is to be kept, or says what is wrong with it and what to do.

Used where a value enters, in constructors and functions that are called from outside, and nowhere else. Numbers of
numpy and torch become plain ones, any sequence a tuple. What a sampler, a proposal, an objective or a model must be is
told by its methods, never by its class. Loads nothing heavy, so that a mistake is told at once.
"""

from __future__ import annotations

import inspect
import math
import operator
import os
import reprlib
from collections.abc import Callable, Collection, Iterable, Mapping, Set
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

T = TypeVar("T")

MOST_CHAINS = 1_000_000
"""Rows of one batch are kept in memory together."""

MOST_DRAFTS = 10_000
"""Texts that a causal model writes for one input before a run."""

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 80


def shown(value: object) -> str:
    """A value as messages show it: at most some eighty characters, classes and functions by their names.

    >>> shown(["a"] * 9), shown(shown), shown(dict)
    ("['a', 'a', 'a', 'a', 'a', 'a', ...]", 'shown', 'dict')
    """
    if isinstance(value, type) or inspect.isroutine(value):
        return str(getattr(value, "__name__", type(value).__name__))
    try:
        text = " ".join(_SHORT.repr(value).split())
    except Exception:
        text = "..."  # a number of more digits than Python prints, or an object that cannot be shown
    whole = isinstance(value, int | float | str | bytes | Collection) or "..." not in text
    return text if whole else f"{type(value).__name__}(...)"


def keep(owner: object, **values: object) -> None:
    """Set fields of a frozen dataclass, from its `__post_init__`."""
    for name, value in values.items():
        object.__setattr__(owner, name, value)


def whole(name: str, value: Any, low: int | None = 0, high: int | None = None, unit: str = "", remedy: str = "") -> int:
    """A whole number from `low` to `high`, both allowed.

    >>> import numpy
    >>> whole("steps", numpy.int64(3))
    3
    >>> whole("tries", 1, 2, unit="tries")
    Traceback (most recent call last):
    ...
    ValueError: tries=1 must be at least 2 tries
    """
    plain = _plain(value)
    if isinstance(plain, int) and (low is None or plain >= low) and (high is None or plain <= high):
        return plain
    least = "" if low is None else f"at least {low:,}{unit and f' {unit}'}"
    most = "" if high is None else f"at most {high:,}"
    if isinstance(plain, int):
        must = f"be {most if low is None or plain >= low else least}"
    else:
        bounds = " and ".join(filter(None, (least, most)))
        must = f"be a whole number{bounds and f' of {bounds}'}"
    raise ValueError(f"{name}={shown(value if plain is None else plain)} must {must}{remedy}")


def real(name: str, value: Any, must: str, holds: Callable[[float], bool] = math.isfinite, whose: str = "") -> Any:
    """A real number for which `holds` is true; nan never is in a comparison.

    >>> real("keep", 0.5, "be a share between 0 and 1", lambda x: 0 < x < 1)
    0.5
    >>> real("keep", "a", "be a share between 0 and 1", lambda x: 0 < x < 1)
    Traceback (most recent call last):
    ...
    ValueError: keep='a' must be a share between 0 and 1
    """
    plain = _plain(value)
    if plain is not None:
        try:
            if holds(float(plain)):
                return plain
        except OverflowError:  # a whole number beyond all floats
            pass
    raise ValueError(f"{name}={shown(value if plain is None else plain)}{whose} must {must}")


def seed_of(value: Any) -> int:
    """A seed, which has 64 bits.

    >>> seed_of(None)
    Traceback (most recent call last):
    ...
    ValueError: seed=None must be a whole number, such as 0: the same seed gives the same texts
    """
    seed = whole("seed", value, None, remedy=", such as 0: the same seed gives the same texts")
    if not -(2**63) <= seed < 2**64:
        raise ValueError(f"seed={shown(seed)} does not fit in 64 bits")
    return seed


class Run(NamedTuple):
    """What every run is told, in plain numbers."""

    steps: int
    seed: int
    chains: int
    temperature: float


def run_of(*, steps: Any, seed: Any, chains: Any, temperature: Any, until: Any = None, progress: Any = False) -> Run:
    """What every run is told, checked; `until` and `progress` are kept as they are."""
    if until is not None:
        function("until", until, "a rule of when to stop", "one of textsearch.until, such as Budget(rows=10_000)")
    flag("progress", progress)
    return Run(
        steps=whole("steps", steps),
        seed=seed_of(seed),
        chains=whole("chains", chains, 1, MOST_CHAINS),
        temperature=positive("temperature", temperature, remedy="; for a pure search anneal to a small value"),
    )


def reals(
    name: str, value: Any, must: str, holds: Callable[[float], bool] = math.isfinite, example: str | None = None
) -> tuple[Any, ...]:
    """Real numbers in order, for each of which `holds` is true.

    >>> reals("weights", [1, 0.5], "be positive", lambda x: x > 0)
    (1, 0.5)
    """
    given = sequence(name, value, "numbers", example)
    return tuple(real(f"{name}[{place}]", one, must, holds) for place, one in enumerate(given))


def floats(name: str, value: Any) -> NDArray[np.float64]:
    """Anything that makes an array of real numbers."""
    import numpy as np

    try:
        array = np.asarray(value)
        if array.dtype.kind in "iuf":
            return array.astype(np.float64, copy=False)
        if array.size == 0:
            return np.zeros(array.shape)
    except (TypeError, ValueError, RuntimeError):  # ragged rows, tensors that numpy cannot read
        pass
    raise TypeError(f"{name}={shown(value)} is {nature(value)}, not an array of real numbers")


def positive(name: str, value: Any, what: str = "number", remedy: str = "") -> Any:
    """A number above 0, and finite.

    >>> positive("sd", 2.0)
    2.0
    """
    return real(name, value, f"be a positive {what}{remedy}", lambda x: 0 < x < math.inf)


def flag(name: str, value: Any) -> bool:
    """True or False."""
    if isinstance(value, bool) or (type(value).__module__ == "numpy" and "bool" in type(value).__name__):
        return bool(value)
    raise TypeError(f"{name}={shown(value)} must be True or False")


def string(name: str, value: Any, remedy: str = "") -> str:
    """A string, which may be empty."""
    if isinstance(value, str):
        return str(value)
    raise TypeError(f"{name}={shown(value)} is {nature(value)}, not a string{remedy}")


def sequence(name: str, value: Any, of: str, example: str | None = None) -> tuple[Any, ...]:
    """The items of anything that can be gone through in order: lists, tuples, generators, arrays.

    Args:
        name: of the argument.
        value: what was given.
        of: what it should be a list of.
        example: a list as it should be; by default made of the one thing that was given in its place.

    >>> sequence("sizes", range(2), "numbers")
    (0, 1)
    """
    # the keys of a dictionary are a set that has an order
    no_order = isinstance(value, Set) and not hasattr(value, "mapping")
    alone = isinstance(value, str | bytes | bytearray)
    of_one = alone or isinstance(value, type | Mapping) or getattr(value, "ndim", 1) == 0
    if no_order or of_one or not (isinstance(value, Iterable) or hasattr(value, "__getitem__")):
        what = "one string" if alone else "a set, which has no order" if no_order else nature(value)
        like = example or (f"[{shown(value)}]" if alone else "")
        raise TypeError(f"{name}={shown(value)} is {what}; pass a list of {of}{like and f', {like}'}")
    return tuple(value)


def strings(name: str, value: Any, of: str = "texts", example: str | None = None) -> tuple[str, ...]:
    """Any sequence of strings but a string itself.

    >>> strings("inputs", (word for word in ["a", "b"]))
    ('a', 'b')
    >>> strings("inputs", ["a", None])
    Traceback (most recent call last):
    ...
    TypeError: inputs[1]=None is no string; pass a list of texts
    """
    items = sequence(name, value, of, example)
    for place, item in enumerate(items):
        if not isinstance(item, str):
            raise TypeError(f"{name}[{place}]={shown(item)} is no string; pass a list of {of}")
    return tuple(map(str, items))


def string_lists(name: str, value: Any, of: str, whose: str) -> tuple[tuple[str, ...], ...]:
    """A sequence of sequences of strings; strings in place of the inner ones are most often one list too few.

    Args:
        name: of the argument.
        value: what was given.
        of: what the inner lists are of.
        whose: what there is one inner list for.

    >>> string_lists("sets", ["dog", "park"], "words", "sentence")
    Traceback (most recent call last):
    ...
    TypeError: sets=['dog', 'park'] is a list of strings; pass one list of words for each sentence, [['dog', 'park']]
    """
    example = "[[...]]" if isinstance(value, str) else None
    items = sequence(name, value, f"lists of {of}, one for each {whose}", example)
    if any(isinstance(item, str) for item in items):
        if all(isinstance(item, str) for item in items):
            given = list(map(str, items))
            raise TypeError(
                f"{name}={shown(given)} is a list of strings; pass one list of {of} for each {whose}, [{shown(given)}]"
            )
        place = next(place for place, item in enumerate(items) if isinstance(item, str))
        raise TypeError(f"{name}[{place}]={shown(items[place])} is one string; pass one list of {of} for each {whose}")
    return tuple(strings(f"{name}[{place}]", item, of) for place, item in enumerate(items))


def one_or_each(name: str, value: Any, of: str = "texts") -> str | tuple[str, ...]:
    """One string for all inputs, or a sequence with one for each.

    >>> one_or_each("prompt", "a"), one_or_each("prompt", ["a", "b"])
    ('a', ('a', 'b'))
    """
    if isinstance(value, str):
        return str(value)
    items = strings(name, value, of)
    if not items:
        raise ValueError(f"{name} is empty: pass one for all inputs, or one for each")
    return items


def mapping(name: str, value: Any, of: str, example: str) -> Mapping[Any, Any]:
    """A dictionary with something in it."""
    if not isinstance(value, Mapping):
        raise TypeError(f"{name}={shown(value)} is {nature(value)}; pass a dictionary of {of}, {example}")
    if not value:
        raise ValueError(f"{name} is empty: it needs at least one, {example}")
    return value


def function(name: str, value: T, what: str, example: str) -> T:
    """What can be called; a class in place of what it makes cannot be meant.

    Args:
        name: of the argument.
        value: what was given.
        what: what it should be, with its article.
        example: how to make one.
    """
    if isinstance(value, type):
        raise TypeError(f"{name}={value.__name__} is a class, not {what}: make one, {value.__name__}(...)")
    if not callable(value):
        raise TypeError(f"{name}={shown(value)} is {nature(value)}, not {what}: pass {example}")
    return value


def functions(name: str, value: Any) -> tuple[Any, ...]:
    """A sequence of functions."""
    if callable(value):
        raise TypeError(f"{name}={shown(value)} is one function; pass a list of them, [{shown(value)}]")
    items = sequence(name, value, "functions")
    for place, item in enumerate(items):
        function(f"{name}[{place}]", item, "a function", "one")
    return items


def model_name(name: str, value: Any) -> str | None:
    """The name or folder of a model; None where none is given."""
    if value is None or isinstance(value, str | os.PathLike):
        path = None if value is None else os.fspath(value)
        if isinstance(path, str) and not path.strip():
            raise ValueError(f"{name}={path!r} is empty: leave it out for the default model")
        if isinstance(path, str) and (max(map(len, path.split(os.sep))) > 255 or "\0" in path):
            raise ValueError(f"{name}={shown(path)} is no name or folder of a model: no file has such a name")
        if path is None or isinstance(path, str):
            return path
    raise TypeError(f"{name}={shown(value)} is {nature(value)}: pass a model, or the name or folder of one")


@final
@dataclass(frozen=True)
class Kind:
    """A part that others are made of, told by what it can do.

    Attributes:
        name: with its article.
        has: methods and properties.
        remedy: what to do where something else was given.
        instead: the same where it was something in particular, by the name of its kind.
        lacks: what tells it from others that have all of these.
    """

    name: str
    has: tuple[str, ...]
    remedy: str
    instead: Mapping[str, str] = field(default_factory=dict)
    lacks: tuple[str, ...] = ()

    def of(self, value: object) -> bool:
        """Whether `value` is one, by its methods."""
        if isinstance(value, type | str):  # a string can encode itself
            return False
        return all(_has(value, one) for one in self.has) and not any(_has(value, one) for one in self.lacks)


_LOAD = "load one, such as textsearch.models.{}"
_ORDER = "the order is generate(objective, sampler, inputs)"

OBJECTIVE = Kind(
    "an objective",
    ("energy", "energy_within", "parts", "cost", "lower_bound", "check", "freeze", "name"),
    "take one of `objectives`, wrap a function of texts in FunctionObjective(function), or derive from "
    "textsearch.Objective",
    {
        "a sampler": _ORDER,
        "a proposal": _ORDER,
        "a function": "wrap a function of texts, FunctionObjective(function)",
        "a list": "add the terms up, a + 2.0 * b",
        "a tuple": "add the terms up, a + 2.0 * b",
        "a causal language model": "wrap it, Fluency(model)",
        "a masked language model": "wrap it, PseudoLikelihood(model)",
    },
)
SAMPLER = Kind(
    "a sampler",
    ("init", "step", "kinds", "guarantee", "vocabulary"),
    "make one, such as MetropolisHastings(Replace(masked_lm()))",
    {
        "a proposal": "wrap it, MetropolisHastings(proposal)",
        "a proposal of whole texts": "wrap it, Rejection, IteratedResampling or ImportanceSampling(proposal)",
        "an objective": _ORDER,
        "a list": "take turns, Cycle([...]), or draw by chance, samplers.Mixture({...: 0.5, ...: 0.5})",
    },
)
PROPOSAL = Kind(
    "a proposal",
    ("propose", "kinds", "vocabulary", "check"),
    "make one, such as Replace(masked_lm())",
    {
        "a sampler": "take the proposal alone; samplers are put together by samplers.Cycle and samplers.Mixture",
        "a proposal of whole texts": "it draws texts afresh: take Rejection, IteratedResampling or ImportanceSampling",
        "a masked language model": "wrap it, Replace(model)",
        "a causal language model": "wrap it, SuffixResampling(model)",
        "a list": "mix them, samplers.proposals.Mixture({...: 0.5, ...: 0.5})",
        "a dictionary": "mix them, samplers.proposals.Mixture({...: 0.5, ...: 0.5})",
    },
)
INDEPENDENT = Kind(
    "a proposal of whole texts",
    ("draw", "log_prob", "vocabulary", "check"),
    "take Fill, FromLeft or Uniform of samplers.proposals",
    {
        "a proposal": "it edits a text: take Fill, FromLeft or Uniform, or MetropolisHastings(proposal) as the sampler",
        "a masked language model": "wrap it, Fill(model)",
        "a causal language model": "wrap it, FromLeft(model)",
        "a vocabulary": "wrap it, Uniform(vocabulary)",
    },
)
MASKED = Kind(
    "a masked language model",
    ("log_probs", "vocabulary"),
    _LOAD.format('masked_lm("bert-base-uncased"), or masked_lm() for the default'),
    {
        "a string": "load it, textsearch.models.masked_lm({})",
        "a transformers model": 'load it by its name or folder, textsearch.models.masked_lm("bert-base-uncased")',
    },
)
CAUSAL = Kind(
    "a causal language model",
    ("score",),
    _LOAD.format('causal_lm("gpt2"), or causal_lm() for the default'),
    {
        "a string": "load it, textsearch.models.causal_lm({})",
        "a transformers model": 'load it by its name or folder, textsearch.models.causal_lm("gpt2")',
    },
)
CONDITIONAL = Kind(
    "a model of texts given a source",
    ("score",),
    _LOAD.format('causal_lm("gpt2") or seq2seq_lm("t5-small")'),
    {
        "a string": "load it, textsearch.models.causal_lm({}) or seq2seq_lm({})",
        "a transformers model": 'load it by its name or folder, textsearch.models.seq2seq_lm("t5-small")',
    },
)
SUFFIX = Kind(
    "a model that writes on from left to right",
    ("draw_suffixes", "suffix_log_probs", "vocabulary"),
    _LOAD.format('causal_lm("gpt2"), or causal_lm() for the default'),
    {
        "a string": "load it, textsearch.models.causal_lm({})",
        "a transformers model": 'load it by its name or folder, textsearch.models.causal_lm("gpt2")',
    },
)
ENCODER = Kind(
    "a sentence encoder",
    ("encode",),
    _LOAD.format('sentence_encoder("sentence-transformers/all-MiniLM-L6-v2"), or sentence_encoder() for the default'),
    {"a string": "load it, textsearch.models.sentence_encoder({})"},
    lacks=("decode",),
)
CLASSIFIER = Kind(
    "a text classifier",
    ("labels", "log_probs"),
    _LOAD.format('text_classifier("distilbert-base-uncased-finetuned-sst-2-english")'),
    {"a string": "load it, textsearch.models.text_classifier({})"},
)
VOCABULARY = Kind(
    "a vocabulary",
    ("size", "mask_id", "allowed", "continues", "encode", "decode"),
    "take that of the model or the sampler, model.vocabulary",
)
CONFUSIONS = Kind(
    "a table of confusions",
    ("of", "inserted"),
    "take samplers.confusions.EnglishConfusions() or ListedConfusions({...})",
)
BATCH = Kind(
    "a batch", ("tokens", "lengths", "editable", "inputs", "token_lists"), "encode texts, vocabulary.encode([...])"
)
RESULT = Kind("a result", ("texts", "trace", "recorded", "samples", "inputs"), "pass what generate(...) gave back")
_FOREIGN = Kind("a transformers model", ("config", "forward", "state_dict"), "")
_TOKENIZER = Kind("a tokenizer", ("convert_ids_to_tokens", "batch_decode"), "")

_KNOWN = (
    OBJECTIVE, SAMPLER, PROPOSAL, INDEPENDENT, BATCH, RESULT, _FOREIGN, _TOKENIZER, CLASSIFIER, MASKED, CAUSAL,
    VOCABULARY, ENCODER,
)  # fmt: skip
"""What things can be, the first that suits."""


def nature(value: object) -> str:
    """What a thing is, with its article.

    >>> nature(3), nature(dict), nature(None), nature(len)
    ('a number', 'a class', 'None', 'a function')
    """
    if value is None:
        return "None"
    if isinstance(value, type):
        return "a class"
    for types, name in (
        (bool, "a truth value"),
        (int | float | complex, "a number"),
        (str | bytes, "a string"),
        (list, "a list"),
        (tuple, "a tuple"),
        (Mapping, "a dictionary"),
        (Set, "a set"),
    ):
        if isinstance(value, types):
            return name
    for kind in _KNOWN:
        if kind.of(value):
            return kind.name
    if _plain(value) is not None:
        return "a number"
    if inspect.isroutine(value):
        return "a function"
    return _unknown(value)


def instance(name: str, value: T, kind: Kind) -> T:
    """A part of the right kind.

    >>> instance("sampler", "gibbs", SAMPLER)
    Traceback (most recent call last):
    ...
    TypeError: sampler='gibbs' is a string, not a sampler: make one, such as MetropolisHastings(Replace(masked_lm()))
    """
    if kind.of(value):
        return value
    given = nature(value)
    if isinstance(value, type):
        remedy = f"make one, {value.__name__}(...)" if hasattr(value, kind.has[0]) else kind.remedy
    elif given in kind.instead:
        remedy = kind.instead[given].replace("{}", shown(value))
    elif inspect.isroutine(value):
        remedy = f"call it if it makes one, or {kind.remedy}"
    elif given == _unknown(value) and type(value).__module__ != "builtins":
        missing = [one for one in kind.has if not _has(value, one)]
        remedy = f"it has no {', '.join(missing)}; {kind.remedy}"
    else:
        remedy = kind.remedy
    raise TypeError(f"{name}={shown(value)} is {'' if value is None else f'{given}, '}not {kind.name}: {remedy}")


def _unknown(value: object) -> str:
    own = type(value).__name__
    return f"{'an' if own[:1].lower() in 'aeiou' else 'a'} {own}"


def _plain(value: Any) -> int | float | None:
    """A number of Python, numpy or torch as one of Python; None for all that is none, truth values too."""
    if type(value) in (int, float):
        return value  # type: ignore[no-any-return]
    if isinstance(value, bool | str | bytes | bytearray | complex | type):
        return None
    kind = str(getattr(value, "dtype", ""))
    if getattr(value, "ndim", 0) != 0 or "bool" in kind or "complex" in kind:
        return None
    try:
        return operator.index(value)
    except Exception:
        pass  # a number with a fraction has no index
    try:
        return float(value)
    except Exception:
        return None


def _has(value: object, name: str) -> bool:
    """Whether a method or property is there; properties are not worked out, wrappers that hand on are asked."""
    return inspect.getattr_static(value, name, None) is not None or hasattr(value, name)
