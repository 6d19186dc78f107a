"""A finite language under a real model, read once: its exact law, and a table that samplers then run on.

Every beginning of the canonical row of every string is a node, and the model's log-probabilities of what comes next
are read at each. Samplers run on this table at the speed of a table, by the code that runs on models, and what they
would have read is counted. Two kinds of tokens lead away from the nodes. One that a mask engine would allow there,
because the bytes go on to a string, but that no canonical row has, is a *stray*. The row that follows is not canonical,
so no sampler may end in it; it is closed at once, and its tokens are counted as those of a string of usual length. All
others are lumped together, *out*; behind it out follows for ever, as a model that has left the language goes on to the
limit; where texts end as soon as they are proven dead, it does not follow.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.grammars.languages import Language
from benchmarks.grammars.pieces import END, OUT, Pieces
from textsearch.batch import Batch
from textsearch.beginnings import Beginnings
from textsearch.in_time import InTime
from textsearch.models.causal import TransformersCausalLM
from textsearch.models.masking import FREE, mixed, unmasked_rows
from textsearch.models.protocols import Scores
from textsearch.models.reading.suffixes import with_suffixes
from textsearch.models.usage import Usage
from textsearch.objective import Cost, Objective
from textsearch.rng import Rng, categorical

_PLACES = 128  # log-probabilities of the whole vocabulary, in float64, at once


@final
@dataclass(frozen=True, eq=False)
class Table:
    """A causal model, as far as a finite language needs it; see the module.

    Attributes:
        vocabulary: the pieces.
        raw: (M, V') float64 log-probabilities of what follows each of M nodes, over the model's whole vocabulary.
        sharp: temperature -> (M, V') the same at that temperature, renormalised over what texts may hold and the end.
        step: (M, V') int64, the node that a token leads to.
        usual: tokens of a string, on average.
        usage: tokens written so far, which is what a model would have to read.
        known: nodes that need no reading, and strays as -1 - their place in `step`, if there is a set in this list: see
            `remembering`.
    """

    vocabulary: Pieces
    raw: Tensor
    sharp: Mapping[float, Tensor]
    step: Tensor
    usual: float
    usage: Usage = field(default_factory=Usage)
    known: list[set[int]] = field(default_factory=list, repr=False)

    @property
    def eos(self) -> int:
        """The end."""
        return END

    @property
    def stray(self) -> int:
        """The node behind a stray token; the one behind `OUT` comes after it."""
        return len(self.raw) - 2

    @contextmanager
    def remembering(self, texts: Batch) -> Iterator[None]:
        """Within the block a node is read once, and those of texts that stand there already never are."""
        self.known.append(set(self.nodes(texts).flatten().tolist()))
        try:
            yield
        finally:
            self.known.pop()

    def nodes(self, batch: Batch) -> Tensor:
        """(B, N + 1) int64, the node after each beginning of each row; beyond its end that of the row."""
        found = torch.zeros(len(batch), batch.width + 1, dtype=torch.int64)
        for place in range(batch.width):
            at = found[:, place]
            on = self.step[at, batch.tokens[:, place]]
            found[:, place + 1] = torch.where(place < batch.lengths, on, at)
        return found

    def log_probs_after(self, rows: Sequence[Sequence[int]], prompts: Sequence[str], more: int = 0) -> Tensor:
        """(K, V') log-probabilities of the token that follows each row; reading its last token is counted."""
        nodes = self.nodes(Batch.of(rows, self.vocabulary))[:, -1]
        self._count(nodes, torch.zeros(len(nodes), dtype=torch.float64))
        return self.raw[nodes]

    def score(self, batch: Batch, prompt: str | Sequence[str] = "", least: Tensor | None = None) -> Scores:
        """log p of each row and its end; what is scored was written before, so nothing is read."""
        return Scores(self.sum(self.raw, batch, torch.zeros_like(batch.lengths)), batch.lengths + 1)

    def suffix_log_probs(
        self,
        batch: Batch,
        cuts: Tensor,
        *,
        prompt: str | Sequence[str] = "",
        temperature: float = 1.0,
        constraint: Objective | None = None,
        free: float = FREE,
    ) -> Tensor:
        """(B,) log-probability that `draw_suffixes` writes what stands behind the first `cuts[b]` tokens."""
        log_free, narrow = self.sum(self.sharp[temperature], batch, cuts), self._narrow(temperature, constraint)
        return log_free if narrow is None else mixed(self.sum(narrow, batch, cuts), log_free, free)

    def draw_suffixes(
        self,
        batch: Batch,
        cuts: Tensor,
        rng: Rng,
        *,
        prompt: str | Sequence[str] = "",
        temperature: float = 1.0,
        most: int | Sequence[int],
        constraint: Objective | None = None,
        free: float = FREE,
    ) -> tuple[Batch, Tensor, Tensor]:
        """Row b with everything behind its first `cuts[b]` tokens drawn anew; see `SuffixLM`."""
        room = torch.as_tensor(most).expand(len(batch))
        longest = int(room.max()) if len(batch) else 0
        every = torch.arange(len(batch))
        node = self.nodes(batch)[every, cuts]
        written = torch.zeros(len(batch), longest + 1, dtype=torch.int64)
        counts = torch.zeros_like(cuts)
        log_free, log_masked = (torch.zeros(len(batch), dtype=torch.float64) for _ in range(2))
        ended = torch.zeros(len(batch), dtype=torch.bool)
        going, unmasked = every, unmasked_rows(rng, free)
        plain_law, narrow_law = self.sharp[temperature], self._narrow(temperature, constraint)
        for place in range(longest + 1):
            plain = law = plain_law[node[going]]
            if narrow_law is not None:
                narrow = narrow_law[node[going]]
                law = torch.where(unmasked[going, None], plain, narrow)
                alive = law.amax(-1) > -math.inf
                going, plain, narrow, law = going[alive], plain[alive], narrow[alive], law[alive]
            if len(going) == 0:
                break
            token = categorical(law, rng.rows(going).uniform(place))
            ends = token == END
            at = node[going]
            # what is proven to lead to no text is not written on under a constraint
            gone = (self.step[at, token] > self.stray) & (narrow_law is not None)
            on = ~ends & ~gone & (cuts[going] + place < room[going])
            log_free[going] += plain.gather(1, token[:, None])[:, 0].where(ends | on, 0.0)
            if narrow_law is not None:
                log_masked[going] += narrow.gather(1, token[:, None])[:, 0].where(ends | on, 0.0)
            ended[going] = ends
            going, token, at = going[on], token[on], at[on]
            node[going] = self.step[at, token]
            strayed = (node[going] == self.stray) & (at < self.stray)
            # what a stray's row would have gone on with
            more = (self.usual - (cuts[going] + place + 1).to(torch.float64)).clamp(min=0.0).where(strayed, 0.0)
            self._count(torch.where(strayed, -1 - (at * self.step.shape[1] + token), node[going]), more)
            written[going, place] = token
            counts[going] += 1
        log_prob = log_free if constraint is None else mixed(log_masked, log_free, free)
        return with_suffixes(batch, cuts, written, counts), log_prob, ended

    def _count(self, nodes: Tensor, more: Tensor) -> None:
        """Reading what leads to (K,) nodes, and `more` (K,) tokens behind each."""
        each = list(zip(nodes.tolist(), more.tolist(), strict=True))
        if self.known:
            seen = self.known[-1]
            # of those that come to one node together the first reads it
            fresh = {node: own for node, own in reversed(each) if node < self.stray and node not in seen}
            seen.update(fresh)
            each = [*fresh.items(), *((node, own) for node, own in each if node >= self.stray)]
        total = len(each) + round(sum(own for _, own in each))
        self.usage.count((total, 1), total)

    def _narrow(self, temperature: float, constraint: Objective | None) -> Tensor | None:
        """(M, V') the law of every node under the mask of a constraint."""
        if constraint is None:
            return None
        if isinstance(constraint, InTime):
            constraint = constraint.objective  # a table knows no longer texts
        if not isinstance(constraint, InLanguage) or constraint.table is not self:
            raise TypeError("a table knows the mask of its own language only")
        if temperature not in constraint.narrow:
            constraint.narrow[temperature] = self.sharp[temperature].masked_fill(~constraint.masks, -math.inf)
            mass = constraint.narrow[temperature].logsumexp(-1, keepdim=True)
            constraint.narrow[temperature] -= mass.masked_fill(mass == -math.inf, 0.0)
        return constraint.narrow[temperature]

    def sum(self, law: Tensor, batch: Batch, cuts: Tensor) -> Tensor:
        """(B,) sums over the tokens behind the cuts, and the end."""
        nodes, ended = self.nodes(batch), torch.nn.functional.pad(batch.tokens, (0, 1))
        out = torch.zeros(len(batch), dtype=torch.float64)
        for place in range(batch.width + 1):
            token = torch.where(place < batch.lengths, ended[:, place], END)
            value = law[nodes[:, place], token]
            out += value.where((cuts <= place) & (place <= batch.lengths), 0.0)
        return out


@final
@dataclass(frozen=True, eq=False)
class InLanguage(Objective):
    """The whole text is one of a language: energy 0, or +inf.

    What may come next is what a mask engine would say: every token after whose bytes the text can still become one of
    the language, canonical or not. A beginning is impossible if no string begins with its bytes.

    Attributes:
        table: of the language.
        strings: all of them, sorted.
        masks: (M, V') bool.
        narrow: temperature -> (M, V') what the table has worked out with them.
    """

    table: Table
    strings: tuple[str, ...]
    masks: Tensor
    narrow: dict[float, Tensor] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """The term's name in results."""
        return "language"

    @property
    def cost(self) -> Cost:
        """A test of the text alone."""
        return Cost.HARD

    @property
    def lower_bound(self) -> float:
        """0."""
        return 0.0

    @cached_property
    def _members(self) -> frozenset[str]:
        return frozenset(self.strings)

    @cached_property
    def _begun(self) -> frozenset[bytes]:
        return frozenset(text.encode()[:size] for text in self.strings for size in range(len(text.encode()) + 1))

    def energy(self, batch: Batch) -> Tensor:
        """(B,) 0 or +inf."""
        inside = [text in self._members for text in batch.texts()]
        return torch.zeros(len(batch), dtype=torch.float64).masked_fill(
            ~torch.tensor(inside, dtype=torch.bool), math.inf
        )

    def allowed_next(self, beginnings: Beginnings) -> Tensor:
        """(K, V') bool."""
        return self.masks[self.table.nodes(Batch.of(beginnings.rows, beginnings.vocabulary))[:, -1]]

    def living_next(self, beginnings: Beginnings) -> Tensor:
        """(K, V') bool, as above: what the mask leaves out no string begins with."""
        return self.allowed_next(beginnings)

    def impossible(self, beginnings: Beginnings) -> Tensor:
        """(K,) bool."""
        written = beginnings.written
        assert written is not None
        return torch.tensor([own not in self._begun for own in written], dtype=torch.bool)


@final
@dataclass(frozen=True, eq=False)
class Truth:
    """A language with its exact law under a model.

    Attributes:
        name: of the language.
        prompt: what the model reads first.
        strings: S of them, sorted.
        log_probs: (S,) float64, log p(string, end | prompt) in its canonical row.
        table: what samplers run on.
        constraint: the language as an objective.
        longest: tokens of the longest string.
        tokens_read: by the model, for all of this.
    """

    name: str
    prompt: str
    strings: tuple[str, ...]
    log_probs: NDArray[np.float64]
    table: Table
    constraint: InLanguage
    longest: int
    tokens_read: int

    @cached_property
    def law(self) -> NDArray[np.float64]:
        """(S,) the exact law: probabilities given that the text is in the language."""
        return self.power(1.0)

    def power(self, exponent: float) -> NDArray[np.float64]:
        """(S,) the law of p^exponent over the language."""
        values = exponent * self.log_probs
        weights = np.exp(values - values.max())
        return np.asarray(weights / weights.sum(), dtype=np.float64)

    @cached_property
    def numbers(self) -> dict[str, int]:
        """The number of each string."""
        return {text: number for number, text in enumerate(self.strings)}

    @property
    def log_mass(self) -> float:
        """log of the probability that the model writes a string of the language by itself, nats."""
        return float(np.logaddexp.reduce(self.log_probs))

    @cached_property
    def masked_law(self) -> NDArray[np.float64]:
        """(S + 1,) the exact law of decoding under the mask; the last is the share of rows that are not canonical."""
        batch = self.table.vocabulary.encode(self.strings)
        cuts = torch.zeros_like(batch.lengths)
        inside = self.table.suffix_log_probs(batch, cuts, constraint=self.constraint, free=0.0).exp().numpy()
        return np.append(inside, max(0.0, 1.0 - inside.sum()))

    @staticmethod
    @torch.inference_mode()
    def of(language: Language, lm: TransformersCausalLM, temperatures: Sequence[float] = (1.0,)) -> Truth:
        """Read the language.

        Raises:
            ValueError: a string that the tokenizer does not give back.
        """
        before, vocabulary = lm.usage.tokens, lm.vocabulary
        batch = vocabulary.encode(language.strings)
        if lost := [text for text, back in zip(language.strings, batch.texts(), strict=True) if text != back]:
            raise ValueError(f"the tokenizer does not give back {lost[0]!r}")
        rows = batch.token_lists()
        prompt = lm.ask(language.request)
        beginnings: dict[tuple[int, ...], int] = {}
        for row in rows:
            for size in range(len(row) + 1):
                beginnings.setdefault(tuple(row[:size]), len(beginnings))
        written = _token_bytes(lm)
        following = _following(list(beginnings), written, language.strings)
        known = sorted(set().union(*following))
        places = {token: number for number, token in enumerate(known, start=2)}
        raw, sharp = _read(lm, prompt, list(beginnings), known, temperatures)
        table = Table(
            Pieces(vocabulary.tokenizer, tuple(known), (b"", b"\xff", *(written[token] for token in known))),
            raw,
            sharp,
            _steps(beginnings, following, places),
            float(np.mean([len(row) for row in rows])),
        )
        masks = torch.zeros(raw.shape, dtype=torch.bool)
        for number, own in enumerate(following):
            masks[number, [places[token] for token in own]] = True
        ends = [beginnings[tuple(row)] for row in rows]
        masks[[*ends, len(beginnings)], END] = True
        scores = table.score(Batch.of([[places[token] for token in row] for row in rows], table.vocabulary))
        return Truth(
            language.name,
            prompt,
            language.strings,
            scores.log_prob.numpy(),
            table,
            InLanguage(table, language.strings, masks),
            max(map(len, rows)),
            lm.usage.tokens - before,
        )


def _token_bytes(lm: TransformersCausalLM) -> list[bytes]:
    """V strings of bytes; b"" for what no text may hold."""
    pieces: Sequence[bytes] = getattr(lm.vocabulary, "token_bytes")  # noqa: B009 (not every vocabulary has it)
    return [own if may else b"" for own, may in zip(pieces, lm.vocabulary.allowed.tolist(), strict=True)]


def _following(
    beginnings: Sequence[tuple[int, ...]], written: Sequence[bytes], strings: Sequence[str]
) -> list[list[int]]:
    """For each beginning the tokens after whose bytes a string can still come, sorted."""
    texts = sorted(text.encode() for text in strings)
    by_bytes: dict[bytes, list[int]] = {}
    for token, piece in enumerate(written):
        if piece:
            by_bytes.setdefault(piece, []).append(token)
    longest = max(map(len, by_bytes))
    found = []
    for beginning in beginnings:
        start = b"".join(written[token] for token in beginning)
        own: set[int] = set()
        place = bisect_left(texts, start)
        before = b""
        while place < len(texts) and texts[place].startswith(start):
            rest = texts[place][len(start) :]
            # what the string before begins with, too, is there already
            shared = next((i for i, (a, b) in enumerate(zip(before, rest, strict=False)) if a != b), len(before))
            for size in range(shared + 1, min(len(rest), longest) + 1):
                own.update(by_bytes.get(rest[:size], ()))
            before, place = rest, place + 1
        found.append(sorted(own))
    return found


def _steps(
    beginnings: Mapping[tuple[int, ...], int], following: Sequence[Sequence[int]], places: Mapping[int, int]
) -> Tensor:
    """(M, V') the node that each token leads to; the last two nodes are those of strays and of `OUT`."""
    stray, out = len(beginnings), len(beginnings) + 1
    step = torch.full((len(beginnings) + 2, len(places) + 2), out, dtype=torch.int64)
    for (row, number), own in zip(beginnings.items(), following, strict=True):
        for token in own:
            step[number, places[token]] = beginnings.get((*row, token), stray)
    step[stray, :] = stray
    step[stray, OUT] = out
    return step


def _read(
    lm: TransformersCausalLM,
    prompt: str,
    beginnings: Sequence[Sequence[int]],
    known: Sequence[int],
    temperatures: Sequence[float],
) -> tuple[Tensor, dict[float, Tensor]]:
    """`Table.raw` and `Table.sharp`, the last two rows those behind a stray and behind `OUT`."""
    may = lm.vocabulary.allowed.clone()
    may[lm.eos] = True
    columns = torch.tensor([lm.eos, *known])
    rest = may.clone()
    rest[columns] = False
    shape = (len(beginnings) + 2, len(known) + 2)
    found = {temperature: torch.full(shape, -math.inf, dtype=torch.float64) for temperature in (None, *temperatures)}
    for law in found.values():
        law[-2, END] = law[-1, OUT] = 0.0
    rows = lm.after(beginnings, [prompt] * len(beginnings))
    for part in lm.tree.portions(rows):
        slots = [own[-1] for own in lm.tree.read([rows[i] for i in part])]
        for first in range(0, len(slots), _PLACES):
            logits = lm.tree.logits(slots[first : first + _PLACES]).double()
            window = slice(part.start + first, part.start + first + len(logits))
            for temperature, law in found.items():
                values = logits.log_softmax(-1)
                if temperature is not None:
                    values = (logits / temperature).masked_fill(~may, -math.inf).log_softmax(-1)
                chosen = values[:, columns]
                law[window, END] = chosen[:, 0]
                law[window, OUT] = values[:, rest].logsumexp(-1)
                law[window, 2:] = chosen[:, 1:]
    raw = found.pop(None)
    return raw, {temperature: law for temperature, law in found.items() if temperature is not None}
