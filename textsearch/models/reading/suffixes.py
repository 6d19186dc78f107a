"""Suffixes: the end of a text drawn anew from a causal language model, or priced as it stands.

What Metropolis-Hastings needs that cuts a text and writes on from the cut (Faria et al., "QUEST: quality-aware
Metropolis-Hastings sampling for machine translation", 2024; Karan and Du, "Reasoning with sampling: your base model is
smarter than you think", 2025). A token is drawn from p(v | what is before it)^(1 / temperature), renormalised over the
tokens that the vocabulary allows and the end; under a constraint also over what it allows next, see
`textsearch.models.masking`.

What stands before the cut is not read again, nor is what was written before, wherever it was met: see `PrefixTree`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Protocol

import torch
from torch import Tensor

from textsearch.batch import Batch
from textsearch.beginnings import Beginnings
from textsearch.models.masking import dead, dead_behind, masked, mixed, unmasked_rows
from textsearch.models.vocabulary import TokenizerVocabulary
from textsearch.objective import Objective
from textsearch.rng import Rng, categorical

_PLACES = 64  # log-probabilities of the whole vocabulary, in float64, at once


class Tree(Protocol):
    """What a model has read: a `PrefixTree`, or what answers as one. A slot stands for a token and all before it."""

    def portions(self, rows: Sequence[Sequence[int]], more: int = 0) -> Iterator[range]:
        """Rows side by side that can be kept at the same time, and grow by `more` tokens each."""

    def read(self, rows: Sequence[Sequence[int]]) -> Sequence[Sequence[Any]]:
        """The slots of each row's tokens; good until the next portion is read."""

    def logits(self, slots: Sequence[Any]) -> Tensor:
        """(K, V): what follows the tokens in `slots`."""

    def log_probs(self, slots: Sequence[Any], tokens: Sequence[int]) -> list[float]:
        """log p of each of the `tokens`, given what ends in its slot."""


class Reader(Protocol):
    """A causal model that is read token by token, as far as it is needed here."""

    @property
    def vocabulary(self) -> TokenizerVocabulary:
        """Its tokenizer."""

    @property
    def eos(self) -> int:
        """The token that ends a text."""

    @property
    def tree(self) -> Tree:
        """What it has read."""

    def after(self, rows: Sequence[Sequence[int]], prompts: Sequence[str]) -> list[list[int]]:
        """The rows, each behind the tokens of its prompt, or behind the start token."""


def with_suffixes(batch: Batch, cuts: Tensor, written: Tensor, counts: Tensor) -> Batch:
    """The first `cuts[b]` tokens of row b, then the first `counts[b]` of `written[b]` (B, W), editable.

    >>> from textsearch.testing import letters
    >>> batch = letters("abc").encode(["aaa", "b"])
    >>> with_suffixes(batch, torch.tensor([2, 0]), torch.tensor([[3, 0], [2, 3]]), torch.tensor([1, 2])).texts()
    ['aac', 'bc']
    """
    longest = int((cuts + counts).max()) if len(batch) else 0
    new = batch.splice(cuts, batch.lengths, counts, max(batch.width, longest))
    column = torch.arange(new.width, device=batch.device)
    behind = (column >= cuts[:, None]) & new.present
    source = (column - cuts[:, None]).clamp(0, written.shape[1] - 1)
    return replace(new, tokens=torch.where(behind, written.gather(1, source), new.tokens))


def draw_suffixes(
    lm: Reader,
    batch: Batch,
    cuts: Tensor,
    rng: Rng,
    prompts: Sequence[str],
    temperature: float,
    room: Sequence[int],
    constraint: Objective | None,
    free: float,
) -> tuple[Batch, Tensor, Tensor]:
    """As `SuffixLM.draw_suffixes`."""
    kept = [row[:cut] for row, cut in zip(batch.token_lists(), cuts.tolist(), strict=True)]
    for own, most in zip(kept, room, strict=True):
        if len(own) > most:
            raise ValueError(
                f"{len(own)} tokens are to be kept of a text of at most {most}; cut it sooner or raise `most`"
            )
    rows = lm.after(kept, prompts)
    for row, own, most in zip(rows, kept, room, strict=True):
        if len(row) - len(own) - 1 + most > lm.vocabulary.longest:
            raise ValueError(
                f"a prompt of {len(row) - len(own)} tokens and texts of up to {most} are over the model's limit of "
                f"{lm.vocabulary.longest}; shorten the prompt or the longest text"
            )
    longest, ends_at = max(room, default=0), torch.tensor(room, dtype=torch.int64, device=batch.device)
    written = torch.zeros(len(rows), longest + 1, dtype=torch.int64, device=batch.device)
    counts = torch.zeros(len(rows), dtype=torch.int64, device=batch.device)
    # of what is drawn, without the mask and with it
    log_free = torch.zeros(len(rows), dtype=torch.float64, device=batch.device)
    log_masked = torch.zeros_like(log_free)
    ended = torch.zeros(len(rows), dtype=torch.bool, device=batch.device)
    unmasked, numbers = unmasked_rows(rng, free), batch.inputs.tolist()
    begins = [len(row) - len(own) for row, own in zip(rows, kept, strict=True)]  # where texts do, behind prompts

    def begun(index: Sequence[int]) -> Beginnings:
        return Beginnings(lm.vocabulary, lm.eos, [rows[i][begins[i] :] for i in index], [numbers[i] for i in index])

    for part in lm.tree.portions(rows, more=longest):
        going = torch.arange(part.start, part.stop, device=batch.device)
        for place in range(longest + 1):
            here = going.tolist()
            found = lm.tree.read([rows[i] for i in here])
            plain = _tempered(lm, lm.tree.logits([slots[-1] for slots in found]), temperature).to(batch.device)
            law = plain
            if constraint is not None:
                narrow = masked(plain, constraint, begun(here))
                law = torch.where(unmasked[going, None], plain, narrow)
                alive = law.amax(-1) > -torch.inf
                going, plain, narrow, law = going[alive], plain[alive], narrow[alive], law[alive]
                if len(going) == 0:
                    break
            token = categorical(law, rng.rows(going).uniform(place))
            ends = token == lm.eos
            counted = ends | (cuts[going] + place < ends_at[going])
            ended[going] = ends
            log_free[going] += plain.gather(1, token[:, None])[:, 0].where(counted, 0.0)
            if constraint is not None:
                log_masked[going] += narrow.gather(1, token[:, None])[:, 0].where(counted, 0.0)
            on = counted & ~ends
            going, token = going[on], token[on]
            if len(going) == 0:
                break
            written[going, place] = token
            counts[going] += 1
            for i, new in zip(going.tolist(), token.tolist(), strict=True):
                rows[i].append(new)
            if constraint is not None:
                gone = torch.tensor(dead(constraint, begun(going.tolist())), device=going.device)
                going = going[~gone]
                if len(going) == 0:
                    break
    log_prob = log_free if constraint is None else mixed(log_masked, log_free, free)
    return with_suffixes(batch, cuts, written, counts), log_prob, ended


def suffix_log_probs(
    lm: Reader,
    batch: Batch,
    cuts: Tensor,
    prompts: Sequence[str],
    temperature: float,
    constraint: Objective | None,
    free: float,
) -> Tensor:
    """As `SuffixLM.suffix_log_probs`."""
    # without the mask and with it
    sums = torch.zeros(len(batch), 2, dtype=torch.float64, device=batch.device)
    own, inputs = batch.token_lists(), batch.inputs.tolist()
    rows = lm.after(own, prompts)
    for part in lm.tree.portions(rows):
        slots: list[Any] = []
        tokens: list[int] = []
        places: list[tuple[int, int]] = []
        for i, found in zip(part, lm.tree.read([rows[i] for i in part]), strict=True):
            behind = [*own[i], lm.eos][int(cuts[i]) :]
            slots += found[len(found) - len(behind) :]
            tokens += behind
            places += [(i, len(own[i]) + 1 - left) for left in range(len(behind), 0, -1)]
        for first in range(0, len(slots), _PLACES):
            window = slice(first, first + _PLACES)
            plain = _tempered(lm, lm.tree.logits(slots[window]), temperature).to(batch.device)
            laws = [plain]
            if constraint is not None:
                texts, numbers = [own[i][:size] for i, size in places[window]], [inputs[i] for i, _ in places[window]]
                laws.append(masked(plain, constraint, Beginnings(lm.vocabulary, lm.eos, texts, numbers)))
            index = torch.tensor(tokens[window], device=batch.device)[:, None]
            each = torch.cat([law.gather(1, index) for law in laws], 1)
            # one by one: the order of the sum does not depend on the batch
            for (i, _), value in zip(places[window], each, strict=True):
                sums[i, : len(laws)] += value
    if constraint is None:
        return sums[:, 0]
    gone = dead_behind(constraint, lm.vocabulary, lm.eos, own, cuts.tolist(), inputs)
    return mixed(sums[:, 1], sums[:, 0], free).masked_fill(
        torch.tensor(gone, dtype=torch.bool, device=sums.device), -torch.inf
    )


def _tempered(lm: Reader, logits: Tensor, temperature: float) -> Tensor:
    """(K, V) float64 log-probabilities of what may come next: the allowed tokens and the end."""
    may = lm.vocabulary.allowed.clone()
    # the end is a special token, which a text may not hold
    may[lm.eos] = True
    logits = logits.double() / temperature
    return logits.masked_fill(~may.to(logits.device), -torch.inf).log_softmax(-1)
