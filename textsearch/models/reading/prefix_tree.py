"""A tree of prefixes: what a causal model has read is kept, so a text is read from where it differs on.

A node is a token after what stands above it. Its keys and values lie in a pool, one slot a token (PagedAttention: Kwon
et al., 2023), and so does what the model hands to its vocabulary there; texts with a common beginning share its nodes
(RadixAttention: Zheng et al., 2024). An edited text is read from the edit on, candidates that part after a shared
beginning share it, an accepted text has been read, and a prompt is one more beginning. The oldest leaves give way.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, final

import torch
from torch import Tensor

from textsearch.models.reading.length_buckets import Tile
from textsearch.models.reading.packing import Span, bytes_a_token, read_flat, read_with
from textsearch.models.reading.projection import hidden_states, log_prob, log_sums, logits_at, logits_of
from textsearch.models.reading.threads import abreast, count_of, read_tiles
from textsearch.models.reading.token_budget import TokenBudget
from textsearch.models.usage import Usage

_PLACES = 256  # projected onto the vocabulary at once
_NODE_BYTES = 700  # of a node and what finds it, roughly
_PLAIN_BYTES = 4096  # of a token, roughly, where no keys and values are kept


@final
class Node:
    """A token after its parents: `slot` is where the pool holds it."""

    __slots__ = ("children", "parent", "slot", "token")

    def __init__(self, token: int, parent: Node | None, slot: int) -> None:
        self.token = token
        self.parent = parent
        self.slot = slot
        self.children: dict[int, Node] = {}


@final
@dataclass(frozen=True)
class _Part:
    """The tokens of a row from `begins` to `ends`, which are to be read; `slots` are those of the row.

    `branch` is the slot of the first that was not there before: what rows with the same one read, others of them see.
    """

    row: Sequence[int]
    begins: int
    ends: int
    slots: list[int]
    branch: int

    def __len__(self) -> int:
        """Tokens to read."""
        return self.ends - self.begins

    def cut(self, most: int) -> tuple[_Part, _Part | None]:
        """The first `most` tokens, and what is left."""
        middle = min(self.ends, self.begins + most)
        rest = replace(self, begins=middle) if middle < self.ends else None
        return replace(self, ends=middle), rest


@final
class PrefixTree:
    """What a causal model has read.

    Attributes:
        model: a transformers causal language model, on its device.
        outputs: V, how many of its logits count; some models have more outputs than their tokenizer has tokens.
        budget: of tokens in one pass.
        capacity: tokens to keep, as many as `max_bytes` hold; more where a single text needs them.
        usage: what has been asked of the model so far.
        flat: whether the model can go on from keys and values that were kept; else whole texts are read.
    """

    def __init__(self, model: Any, outputs: int, max_tokens: int, max_bytes: int, usage: Usage) -> None:
        self.model = model
        self.outputs = outputs
        self.budget = TokenBudget(max_tokens)
        self.usage = usage
        self._most_bytes = max_bytes
        flat_bytes = bytes_a_token(model, causal=True)
        self.flat = flat_bytes is not None
        self.capacity = max(1, max_bytes // ((flat_bytes or _PLAIN_BYTES) + _NODE_BYTES))
        self._root = Node(-1, None, -1)
        # the oldest first; a token is always older than those above it
        self._nodes: OrderedDict[Node, None] = OrderedDict()
        self._free: list[int] = []
        self._slots = 0
        self._keys: dict[Any, tuple[Tensor, Tensor]] = {}
        self._hidden = torch.empty(0, device=model.device)
        self._log_sum = torch.empty(0, device=model.device)

    def __reduce__(self) -> tuple[type[PrefixTree], tuple[Any, ...]]:
        """A copy has read nothing: nodes hang from one another deeper than pickle goes."""
        return PrefixTree, (self.model, self.outputs, self.budget.most, self._most_bytes, self.usage)

    def portions(self, rows: Sequence[Sequence[int]], more: int = 0) -> Iterator[range]:
        """Rows side by side that can be kept at the same time, and grow by `more` tokens each."""
        start = 0
        while start < len(rows):
            stop, tokens, before = start, 0, rows[start][:0]
            while stop < len(rows):
                # what a row shares with the one before is there once
                size = len(rows[stop]) - _common(before, rows[stop]) + more
                if stop > start and tokens + size > self.capacity:
                    break
                tokens, before, stop = tokens + size, rows[stop], stop + 1
            self.capacity = max(self.capacity, tokens)
            yield range(start, stop)
            start = stop

    def known(self, row: Sequence[int]) -> int:
        """How many tokens at the beginning of `row` need no reading."""
        node: Node | None = self._root
        for place, token in enumerate(row):
            node = node.children.get(token) if node else None
            if node is None:
                return place
        return len(row)

    def read(self, rows: Sequence[Sequence[int]]) -> list[list[int]]:
        """The slots of each row's tokens, read where they were not; good until the next portion is read."""
        fresh: dict[Node, None] = {}
        waiting: list[_Part] = []
        found = []
        try:
            for row in rows:
                path, begins = self._path(row, fresh)
                slots = [node.slot for node in path]
                found.append(slots)
                if begins < len(row):
                    first = begins
                    while first and path[first - 1] in fresh:
                        first -= 1
                    waiting.append(_Part(row, begins, len(row), slots, slots[first]))
            self._compute(waiting)
        except BaseException:
            # interrupted, or out of memory: what was not read may not be found
            for node in reversed(fresh):
                self._drop(node)
            raise
        return found

    def logits(self, slots: Sequence[int]) -> Tensor:
        """(K, V) float32: what follows the tokens in `slots`."""
        return self._logits(self._hidden[torch.tensor(slots, dtype=torch.int64, device=self.model.device)])

    def log_probs(self, slots: Sequence[int], tokens: Sequence[int]) -> list[float]:
        """log p of each of the `tokens`, given what ends in its slot."""
        slot, token = (torch.tensor(ids, dtype=torch.int64, device=self.model.device) for ids in (slots, tokens))
        new = torch.unique(slot[self._log_sum[slot].isnan()])
        for part in new.split(_PLACES):
            self._log_sum[part] = log_sums(self.model, self._hidden[part], self.outputs)
        logit = logits_at(self.model, self._hidden[slot], token)
        found: list[float] = log_prob(logit, self._log_sum[slot]).tolist()
        return found

    def _logits(self, hidden: Tensor) -> Tensor:
        return logits_of(self.model, hidden)[:, : self.outputs]

    def _path(self, row: Sequence[int], fresh: dict[Node, None]) -> tuple[list[Node], int]:
        """The nodes of a row, and how many of them were there already; the others are put into `fresh`."""
        path: list[Node] = []
        node = self._root
        while len(path) < len(row) and (child := node.children.get(row[len(path)])):
            path.append(child)
            node = child
        begins = len(path)
        # what is needed now is not what gives way
        self._touch(path)
        for token in row[begins:]:
            child = node.children[token] = Node(token, node, self._slot())
            self._nodes[child] = None
            fresh[child] = None
            path.append(child)
            node = child
        self._touch(path)
        return path, begins

    def _touch(self, path: Sequence[Node]) -> None:
        for node in reversed(path):
            self._nodes.move_to_end(node)

    def _slot(self) -> int:
        """A free one: a new one, or that of the oldest leaf."""
        if not self._free and self._slots < self.capacity:
            grown = min(self.capacity, max(2 * self._slots, 1024))
            self._free = list(range(grown - 1, self._slots - 1, -1))
            self._slots = grown
        if not self._free:
            self._drop(next(iter(self._nodes)))
        return self._free.pop()

    def _drop(self, node: Node) -> None:
        parent = node.parent
        assert parent is not None
        assert not node.children
        del parent.children[node.token]
        del self._nodes[node]
        self._free.append(node.slot)

    def _compute(self, waiting: Sequence[_Part]) -> None:
        """Read rows from their places `begins` on, in passes of as many tokens as the budget allows."""
        if not self.flat:
            self._read_whole(waiting)
            return
        left = list(waiting)
        while left:
            # the first pass shows what the pools are made of
            lines, rest = _lines(left, self.budget.most, count_of(self.model.device) if self._keys else 1)
            for layer, (keys, values) in self._keys.items():
                self._keys[layer] = _room(keys, self._slots), _room(values, self._slots)
            try:
                for place, hidden in self._read_abreast(lines):
                    self._keep(place, hidden)
            except RuntimeError as error:
                self.budget.halve(error)
                continue
            left = rest

    def _read_abreast(self, lines: Sequence[Sequence[_Part]]) -> list[tuple[Tensor, Tensor]]:
        tasks = [partial(self._read_on, line) for line in lines]
        return read_with(self.model, lambda: abreast(tasks))

    def _read_on(self, parts: Sequence[_Part]) -> tuple[Tensor, Tensor]:
        """One pass over N new tokens, which see what is kept of those before them: their slots (N,), and (N, d)."""
        tokens: list[int] = []
        positions: list[int] = []
        spans: list[Span] = []
        slots: list[int] = []
        for part in parts:
            new = range(part.begins, part.ends)
            spans.append(Span(len(tokens), len(new), part.slots[: part.ends]))
            tokens += [part.row[place] for place in new]
            positions += new
            slots += [part.slots[place] for place in new]
        place = torch.tensor(slots, dtype=torch.int64, device=self.model.device)

        def source(layer: Any, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
            pools = self._keys.get(layer, (keys[:0], values[:0]))
            kept = self._keys[layer] = (_room(pools[0], self._slots), _room(pools[1], self._slots))
            for pool, new in zip(kept, (keys, values), strict=True):
                pool[place] = new[: len(place)]
            return kept

        hidden = read_flat(self.model, tokens, positions, spans, source, causal=True)
        self.usage.count((1, len(hidden)), len(tokens), rows=len(parts), reused=sum(part.begins for part in parts))
        return place, hidden[: len(place)]

    def _read_whole(self, waiting: Sequence[_Part]) -> None:
        """Passes over whole rows, for models that cannot go on from what was kept."""
        device = self.model.device
        rows = [part.row for part in waiting]

        def read(tile: Tile) -> Tensor:
            self.usage.count(tile.tokens.shape, tile.read)
            return hidden_states(self.model, input_ids=tile.tokens, attention_mask=tile.attention_mask, use_cache=False)

        for tile, hidden in read_tiles(rows, read, pad=0, max_tokens=self.budget.most, device=device):
            for own, number in zip(hidden, tile.rows.tolist(), strict=True):
                part = waiting[number]
                new = slice(part.begins, part.ends)
                self._keep(torch.tensor(part.slots[new], device=device), own[new])

    def _keep(self, place: Tensor, hidden: Tensor) -> None:
        if not len(self._hidden):
            self._hidden, self._log_sum = hidden[:0], hidden[:0, 0].float()
        self._hidden, self._log_sum = _room(self._hidden, self._slots), _room(self._log_sum, self._slots)
        self._hidden[place] = hidden
        self._log_sum[place] = torch.nan


def _lines(parts: Sequence[_Part], most: int, threads: int) -> tuple[list[list[_Part]], list[_Part]]:
    """So many passes of about as many tokens each, at most `most`, none of which sees another; and what is left."""
    branches: dict[int, list[_Part]] = {}
    for part in parts:
        branches.setdefault(part.branch if threads > 1 else 0, []).append(part)
    lines: list[list[_Part]] = [[] for _ in range(threads)]
    rest: list[_Part] = []
    # the longest first, each to the shortest pass
    for branch in sorted(branches.values(), key=lambda own: -sum(map(len, own))):
        line = min(lines, key=lambda own: sum(map(len, own)))
        room = most - sum(map(len, line))
        for part in branch:
            now, later = part.cut(room) if room else (None, part)
            if now is not None:
                line.append(now)
                room -= len(now)
            if later is not None:
                rest.append(later)
    return [line for line in lines if line], rest


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens two rows share at their beginning.

    >>> _common([1, 2, 3], [1, 2, 4, 5])
    2
    """
    count = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        count += 1
    return count


def _room(pool: Tensor, slots: int) -> Tensor:
    """(slots, ...) with what `pool` holds, which is `pool` itself if it has room enough."""
    if len(pool) >= slots:
        return pool
    # not of inference mode: it will be written to within and without
    with torch.inference_mode(False):
        wide = torch.empty(slots, *pool.shape[1:], dtype=pool.dtype, device=pool.device)
    wide[: len(pool)] = pool
    return wide
