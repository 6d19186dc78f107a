"""Masks of what may come next, by llguidance: hints for proposals that write from left to right.

The engine reads a grammar, a JSON schema or a regular expression in its own way, and cuts texts into words greedily:
its mask may forbid a token that a text needs, and allow a text that the parser refuses. The parser is right; see
`Differences`.
"""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from threading import Lock, Thread
from typing import Any, final
from weakref import WeakKeyDictionary, ref

import numpy as np
import torch
from torch import Tensor

from textsearch.batch import Batch, Vocabulary
from textsearch.beginnings import Beginnings, TokenBytes
from textsearch.objective import Objective, evaluate, next_allowed_by
from textsearch.spelling import canonical

PATIENCE = 30.0
"""Seconds for the masks of one step: on a few grammars llguidance 1.9 never ends. Such a language has no mask then."""

_KEPT = 2_000  # beginnings, with the state of the engine behind each
_LOCK = Lock()


@cache
def engine() -> Any:
    """The module `llguidance`; None where it is not installed, and nothing is masked."""
    try:
        import llguidance
        import llguidance.numpy
    except ImportError:
        return None
    return llguidance


@final
class Masks:
    """The masks of one language: for each vocabulary, what may follow each beginning.

    Args:
        grammar: makes what the engine reads.
    """

    def __init__(self, grammar: Callable[[Any], str]) -> None:
        self._grammar = grammar
        # by the token that ends a text, too: two models may share a vocabulary and end texts differently
        self._found: WeakKeyDictionary[Vocabulary, dict[int, _OfVocabulary | None]] = WeakKeyDictionary()

    def allowed(self, beginnings: Beginnings, places: Sequence[int]) -> Tensor | None:
        """(len(places), V) bool, of those beginnings; None where the engine cannot read the language."""
        vocabulary = beginnings.vocabulary
        if engine() is None or not isinstance(vocabulary, TokenBytes):
            return None
        with _LOCK:
            by_end = self._found.setdefault(vocabulary, {})
            if beginnings.end not in by_end:
                known = _OfVocabulary(self._grammar, vocabulary, beginnings.end)
                by_end[beginnings.end] = known if known.works else None
            own = by_end[beginnings.end]
            if own is None:
                return None
            rows = [tuple(beginnings.rows[place]) for place in places]
            if not own.knows(rows) and not _done_within(PATIENCE, partial(own.learn, rows)):
                by_end[beginnings.end] = None
                warnings.warn(
                    f"the mask engine found no end within {PATIENCE:g} s and is left out for one language: proposals "
                    "know less of it, the law is the same; write its words so that none begins as the one before may "
                    "go on",
                    stacklevel=2,
                )
                return None
            return torch.from_numpy(np.stack([own.mask(row) for row in rows]))


@final
class _OfVocabulary:
    """The engine with one grammar and one vocabulary."""

    def __init__(self, grammar: Callable[[Any], str], vocabulary: Vocabulary, end: int) -> None:
        module = engine()
        self._size, self._end = vocabulary.size, end
        self._states: OrderedDict[tuple[int, ...], Any] = OrderedDict()
        self._masks: OrderedDict[tuple[int, ...], np.ndarray[Any, Any]] = OrderedDict()
        self._fresh = module.LLMatcher(_tokenizer(vocabulary, end), grammar(module.LLMatcher), log_level=0)
        self.works = not self._fresh.is_error()

    def knows(self, rows: Sequence[tuple[int, ...]]) -> bool:
        """Whether the masks behind all these beginnings are known."""
        return all(row in self._masks for row in rows)

    def learn(self, rows: Sequence[tuple[int, ...]]) -> None:
        """Work out those that are not."""
        for row in rows:
            if row not in self._masks:
                self._masks[row] = self._computed(row)
            self._masks.move_to_end(row)
        while len(self._masks) > max(_KEPT, len(rows)):
            self._masks.popitem(last=False)

    def mask(self, row: tuple[int, ...]) -> np.ndarray[Any, Any]:
        """(V,) bool, if it is known; nothing where the engine does not allow the beginning itself."""
        self._masks.move_to_end(row)
        return np.unpackbits(self._masks[row], bitorder="little", count=self._size).astype(bool)

    def _computed(self, row: tuple[int, ...]) -> np.ndarray[Any, Any]:
        numpy = engine().numpy
        bits = numpy.allocate_token_bitmask(1, self._size)
        state = self._state(row)
        if state is None:
            bits[:] = 0
        else:
            numpy.fill_next_token_bitmask(state, bits, 0)
            if state.is_error():  # a limit of the engine: it knows nothing of what follows
                bits[:] = 0
        packed = np.ascontiguousarray(bits).view(np.uint8).ravel().copy()
        if state is None or not state.is_accepting():  # at a dead end the engine offers the end of an unfinished text
            packed[self._end // 8] &= ~np.uint8(1 << self._end % 8)
        return packed

    def _state(self, row: tuple[int, ...]) -> Any:
        """The engine behind a beginning; None if it does not allow it."""
        if row in self._states:
            self._states.move_to_end(row)
            return self._states[row]
        # what was met before is not read again
        size = len(row)
        while size and row[:size] not in self._states:
            size -= 1
        before = self._states[row[:size]] if size else self._fresh
        state = None if before is None else before.deep_copy()
        if state is not None and ((size < len(row) and not state.consume_tokens(list(row[size:]))) or state.is_error()):
            state = None
        self._states[row] = state
        while len(self._states) > _KEPT:
            self._states.popitem(last=False)
        return state


def _done_within(seconds: float, function: Callable[[], None]) -> bool:
    """Run it; False if it has not ended by then, and may never. Python goes on beside the engine's own code."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            function()
        except BaseException as error:
            failures.append(error)

    thread = Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if failures:
        raise failures[0]
    return not thread.is_alive()


_TOKENIZERS: WeakKeyDictionary[Vocabulary, tuple[int, Any]] = WeakKeyDictionary()


def _tokenizer(vocabulary: Vocabulary, end: int) -> Any:
    """A vocabulary as the engine knows it: V strings of bytes, those that no text is spelt with being special."""
    known = _TOKENIZERS.get(vocabulary)
    if known is not None and known[0] == end:
        return known[1]
    module = engine()
    made = module.LLTokenizer(module.TokenizerWrapper(_Tokens(vocabulary, end)), n_vocab=vocabulary.size)
    _TOKENIZERS[vocabulary] = end, made
    return made


@final
class _Tokens:
    """What the engine asks of a tokenizer."""

    def __init__(self, vocabulary: Any, end: int) -> None:
        self.eos_token_id, self.bos_token_id = end, None
        special = ~vocabulary.allowed
        special[end] = True
        self.special_token_ids = special.nonzero().squeeze(-1).tolist()
        names = {token: b"<%d>" % token for token in self.special_token_ids}
        self.tokens = [names.get(token, piece) for token, piece in enumerate(vocabulary.token_bytes)]
        # what is known of a vocabulary must not keep it
        self._vocabulary_of = ref(vocabulary)

    def __call__(self, text: bytes | str) -> list[int]:
        text = text.decode(errors="replace") if isinstance(text, bytes) else text
        vocabulary: Any = self._vocabulary_of()
        try:
            return [] if vocabulary is None else list(vocabulary.encode([text]).token_lists()[0])
        except ValueError:  # no text of this vocabulary; the engine asks for some of its own
            return []


@final
@dataclass(frozen=True)
class Differences:
    """Where the mask of an objective and its parser disagree on whole texts; the parser is right.

    Attributes:
        texts: that were asked about.
        too_narrow: texts that the parser accepts and the mask cannot write.
        too_wide: texts that the mask can write and the parser refuses.
    """

    texts: int
    too_narrow: int
    too_wide: int


def differences(objective: Objective, batch: Batch, end: int) -> Differences:
    """Of the texts of a batch; rows that are not the canonical ones of their texts are no texts.

    Args:
        objective: with `allowed_next`; where it knows nothing, no text differs.
        batch: B texts.
        end: the token that ends a text.
    """
    batch = batch.rows(canonical(batch).nonzero().squeeze(-1))
    fine = (evaluate(objective, batch).energy < torch.inf).tolist()
    narrow = wide = 0
    for row, number, accepted in zip(batch.token_lists(), batch.inputs.tolist(), fine, strict=True):
        written = mask_writes(objective, batch.vocabulary, end, row, number)
        narrow += accepted and written is False
        wide += written is True and not accepted
    return Differences(len(fine), narrow, wide)


def mask_writes(objective: Objective, vocabulary: Vocabulary, end: int, row: Sequence[int], number: int) -> bool | None:
    """Whether the mask of an objective lets a text and its end be written, for an input; None if there is no mask."""
    begun = [row[:size] for size in range(len(row) + 1)]
    mask = next_allowed_by(objective, Beginnings(vocabulary, end, begun, [number] * len(begun)))
    return None if mask is None else all(bool(mask[place, token]) for place, token in enumerate([*row, end]))
