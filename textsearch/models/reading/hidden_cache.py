"""What a masked model made of each place of each text, kept: one vector, from which all conditionals there follow.

The vector is what the model hands to its vocabulary, some hundred numbers where the conditionals are tens of
thousands. A chain that stays where it is proposes from the same contexts again, and the terms of an accepted text's
pseudo-likelihood are the contexts of its next proposals. The oldest give way.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, final

import torch
from torch import Tensor

from textsearch.models.reading.projection import log_prob, log_probs_of, log_sums, logits_at

_PLACES = 256  # projected onto the vocabulary at once
_KEY_BYTES = 400  # of what finds a vector, roughly

Context = tuple[bytes, int]
"""A row's tokens, and a place among them."""


def context(row: Sequence[int], place: int) -> Context:
    """The key of a place.

    >>> tokens(context([7, 8, 9], 1)).tolist()
    [7, 8, 9]
    """
    return array("i", row).tobytes(), place


def tokens(key: Context) -> array[int]:
    """The row of a context."""
    row = array("i")
    row.frombytes(key[0])
    return row


@final
class Contexts:
    """A bounded memory of contexts.

    Attributes:
        model: a transformers masked language model, on its device.
        outputs: V, how many of its logits count.
        read: (K, d) vectors of K contexts, all different.
        capacity: contexts to keep.
    """

    def __init__(self, model: Any, outputs: int, read: Callable[[list[Context]], Tensor], max_bytes: int) -> None:
        self.model = model
        self.outputs = outputs
        self.read = read
        head = model.get_output_embeddings().weight
        self.capacity = max(1, max_bytes // (head.shape[1] * head.element_size() + _KEY_BYTES))
        # the oldest first
        self._slots: OrderedDict[Context, int] = OrderedDict()
        self._used = 0
        # not of inference mode: it will be written to within and without
        with torch.inference_mode(False):
            self._hidden = torch.zeros(0, head.shape[1], dtype=head.dtype, device=head.device)
            self._log_sum = torch.zeros(0, device=head.device)

    def __len__(self) -> int:
        """How many are kept."""
        return len(self._slots)

    def __contains__(self, key: Context) -> bool:
        """Whether it needs no reading."""
        return key in self._slots

    def log_probs(self, keys: Sequence[Context]) -> Tensor:
        """(K, V) float32 conditionals."""
        parts = []
        for _, slots in self._found(keys):
            unique, place = torch.unique(slots, return_inverse=True)
            # a table of K rows is large: it is copied only where a row is asked for twice
            twice = len(unique) < len(slots)
            found = log_probs_of(self.model, self._hidden[unique if twice else slots], self.outputs)
            parts.append(found[place] if twice else found)
        if len(parts) == 1:
            return parts[0]
        return torch.cat([torch.empty(0, self.outputs, device=self.model.device), *parts])

    def token_log_probs(self, keys: Sequence[Context], wanted: Tensor) -> Tensor:
        """(K,) float64 conditionals of the tokens `wanted` (K,)."""
        out = torch.empty(len(keys), dtype=torch.float64, device=self.model.device)
        for window, slots in self._found(keys):
            new = torch.unique(slots[self._log_sum[slots].isnan()])
            for part in new.split(_PLACES):
                self._log_sum[part] = log_sums(self.model, self._hidden[part], self.outputs)
            logits = logits_at(self.model, self._hidden[slots], wanted[window])
            out[window] = log_prob(logits, self._log_sum[slots])
        return out

    def _found(self, keys: Sequence[Context]) -> Iterator[tuple[slice, Tensor]]:
        """Some keys at a time with the slots that hold them, good until the next are asked for."""
        for start in range(0, len(keys), self.capacity):
            window = slice(start, min(start + self.capacity, len(keys)))
            part = keys[window]
            fresh = [key for key in dict.fromkeys(part) if key not in self._slots]
            for key in part:
                # what is needed now is not what gives way
                if key in self._slots:
                    self._slots.move_to_end(key)
            if fresh:
                self._keep(fresh, self.read(fresh))
            yield window, torch.tensor([self._slots[key] for key in part], device=self._hidden.device)

    def _keep(self, fresh: Sequence[Context], hidden: Tensor) -> None:
        slots = [self._slot() for _ in fresh]
        if len(self._hidden) < self._used:
            room = min(self.capacity, max(self._used, 2 * len(self._hidden), 1024))
            with torch.inference_mode(False):
                grown = [
                    torch.empty(room, *old.shape[1:], dtype=old.dtype, device=old.device)
                    for old in (self._hidden, self._log_sum)
                ]
            for new, old in zip(grown, (self._hidden, self._log_sum), strict=True):
                new[: len(old)] = old
            self._hidden, self._log_sum = grown
        place = torch.tensor(slots, device=self._hidden.device)
        self._hidden[place] = hidden
        self._log_sum[place] = torch.nan
        # found only now that they are whole: an interrupt on the way loses memory, not truth
        self._slots.update(zip(fresh, slots, strict=True))

    def _slot(self) -> int:
        if self._used < self.capacity:
            self._used += 1
            return self._used - 1
        return self._slots.popitem(last=False)[1]
