"""The prefix tree: what was read is not read again, and whatever is kept, every number is the one of a plain pass."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.models.tiny import TEXTS, Tiny, byte_tokenizer, every_position, llama, save, seeded, shape, shuffled
from tests.models.tiny import tiny as tiny
from textsearch.models import causal_lm
from textsearch.models.reading import packing as flat
from textsearch.models.reading.length_buckets import GRAIN
from textsearch.models.reading.prefix_tree import Node, PrefixTree
from textsearch.models.usage import Usage

ROWS = [[0, *row] for row in ([1, 2, 3, 4, 5], [1, 2, 3, 9, 5], [1, 2], [7, 2, 3, 4, 5], [], [1, 2, 3, 4, 5, 6, 7, 8])]


def tree_of(model: Any, max_tokens: int = 512, max_bytes: int = 2**20) -> PrefixTree:
    return PrefixTree(model, 10_000, max_tokens, max_bytes, Usage())


def read(tree: PrefixTree, rows: list[list[int]]) -> list[list[float]]:
    """log p of every token of each row but its first."""
    found = []
    for part in tree.portions(rows):
        for i, slots in zip(part, tree.read([rows[i] for i in part]), strict=True):
            found.append(tree.log_probs(slots[:-1], rows[i][1:]))
    return found


def by_hand(model: Any, row: list[int]) -> list[float]:
    """The same from one plain pass over the row alone."""
    with torch.inference_mode():
        log_probs = model(input_ids=torch.tensor([row]), use_cache=False).logits[0].double().log_softmax(-1)
    return [float(log_probs[place, token]) for place, token in enumerate(row[1:])]


def held(tree: PrefixTree) -> set[tuple[int, ...]]:
    """The beginnings that the tree knows."""
    found: set[tuple[int, ...]] = set()
    waiting: list[tuple[tuple[int, ...], Node]] = [((), tree._root)]
    while waiting:
        before, node = waiting.pop()
        for token, child in node.children.items():
            found.add((*before, token))
            waiting.append(((*before, token), child))
    return found


def assert_sound(tree: PrefixTree) -> None:
    """No slot is used twice or lost, and nothing is older than what hangs from it."""
    slots = [node.slot for node in tree._nodes]
    assert sorted([*slots, *tree._free]) == list(range(tree._slots))
    assert len(held(tree)) == len(slots)
    order = {node: number for number, node in enumerate(tree._nodes)}
    assert all(order[child] < order[node] for node in order for child in node.children.values())


def models() -> dict[str, Any]:
    """Grouped heads, learned positions, a window that slides, a model whose logits are capped."""
    from transformers import (
        Gemma2Config,
        Gemma2ForCausalLM,
        GPT2Config,
        GPT2LMHeadModel,
        MistralConfig,
        MistralForCausalLM,
    )

    shape: dict[str, Any] = {"vocab_size": 40, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
    shape |= {"num_attention_heads": 4, "num_key_value_heads": 2, "initializer_range": 0.3, "head_dim": 8}
    gpt2 = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64, "initializer_range": 0.3}
    return {
        "llama": llama(40),
        "gpt2": seeded(GPT2LMHeadModel, GPT2Config(vocab_size=40, **gpt2)),
        "mistral": seeded(MistralForCausalLM, MistralConfig(**shape, sliding_window=3)),
        "gemma": seeded(
            Gemma2ForCausalLM, Gemma2Config(**shape, final_logit_softcapping=3.0, attn_logit_softcapping=2.0)
        ),
    }


@pytest.mark.parametrize("kind", models())
def test_numbers_are_those_of_a_plain_pass(kind: str) -> None:
    model = models()[kind].eval()
    tree = tree_of(model)
    for row, found in zip(ROWS, read(tree, ROWS), strict=True):
        assert found == pytest.approx(by_hand(model, row), abs=1e-4)
    assert tree.flat == (kind in ("llama", "gpt2"))


def test_a_beginning_is_read_once() -> None:
    tree = tree_of(llama(40).eval())
    read(tree, ROWS[:3])
    beginnings = {tuple(row[:size]) for row in ROWS[:3] for size in range(1, len(row) + 1)}
    assert held(tree) == beginnings
    assert tree.usage.tokens - tree.usage.padding == len(beginnings)
    read(tree, ROWS)
    beginnings = {tuple(row[:size]) for row in ROWS for size in range(1, len(row) + 1)}
    assert held(tree) == beginnings
    assert tree.usage.tokens - tree.usage.padding == len(beginnings)
    before = tree.usage.passes
    read(tree, [row[:4] for row in ROWS])
    assert tree.usage.passes == before
    assert [tree.known(row) for row in ([0, 1, 2, 30], [5], [0, 7, 2, 3, 4, 5, 5])] == [3, 0, 6]
    assert_sound(tree)


@pytest.mark.parametrize("max_tokens", [1, 3, 512])
@pytest.mark.parametrize("max_bytes", [1, 5000, 2**20])
def test_neither_passes_nor_memory_nor_order_change_a_bit(max_tokens: int, max_bytes: int) -> None:
    model = llama(40).eval()
    wanted = {tuple(row): found for row, found in zip(ROWS, read(tree_of(model), ROWS), strict=True)}
    tree = tree_of(model, max_tokens, max_bytes)
    for number in range(6):
        rows = [ROWS[i] for i in shuffled(len(ROWS)).roll(number).tolist()[: 1 + number]]
        assert read(tree, rows) == [wanted[tuple(row)] for row in rows]
        assert_sound(tree)
    assert len(held(tree)) <= tree.capacity
    assert max_bytes > 1 or tree.capacity <= max(map(len, ROWS))


def test_the_oldest_gives_way() -> None:
    tree = tree_of(llama(40).eval())
    tree.capacity = 7
    read(tree, [[0, 1, 2, 3]])
    read(tree, [[0, 1, 5, 6]])
    assert held(tree) == {(0,), (0, 1), (0, 1, 2), (0, 1, 2, 3), (0, 1, 5), (0, 1, 5, 6)}
    read(tree, [[0, 1, 2, 4, 9]])
    assert held(tree) == {(0,), (0, 1), (0, 1, 2), (0, 1, 5), (0, 1, 5, 6), (0, 1, 2, 4), (0, 1, 2, 4, 9)}
    assert_sound(tree)


def test_a_pass_that_fails_leaves_nothing_half_read(monkeypatch: pytest.MonkeyPatch) -> None:
    model = llama(40).eval()
    tree = tree_of(model, max_tokens=3)
    read(tree, ROWS[2:3])
    whole, passes = flat.read_flat, []

    def interrupted(*arguments: Any, **settings: Any) -> Tensor:
        passes.append(1)
        if len(passes) == 2:
            raise KeyboardInterrupt
        return whole(*arguments, **settings)

    monkeypatch.setattr("textsearch.models.reading.prefix_tree.read_flat", interrupted)
    with pytest.raises(KeyboardInterrupt):
        read(tree, ROWS)
    assert held(tree) == {tuple(ROWS[2][:size]) for size in (1, 2, 3)}
    assert_sound(tree)
    assert read(tree, ROWS) == read(tree_of(model), ROWS)


def test_a_model_is_left_as_it_was(tiny: Tiny) -> None:
    lm = tiny.causal()
    before = lm.model.config._attn_implementation
    ids = torch.tensor([[1, 2, 3, 4]])
    with torch.inference_mode():
        wanted = lm.model(ids).logits
        lm.score(lm.vocabulary.encode(TEXTS))
        assert lm.model.config._attn_implementation == before
        assert lm.model(ids).logits.equal(wanted)


def test_a_pickled_model_has_read_nothing_and_says_the_same(tiny: Tiny) -> None:
    lm = tiny.causal()
    batch = lm.vocabulary.encode(TEXTS)
    found = lm.score(batch, "!" * 40).log_prob
    deep = [[place % 40 for place in range(60)]]
    lm.tree.read(deep)
    copy = pickle.loads(pickle.dumps(lm))
    assert held(copy.tree) == set()
    copy._known.clear()
    assert copy.score(batch, "!" * 40).log_prob.equal(found)


def test_inference_mode_comes_and_goes(tiny: Tiny) -> None:
    lm = tiny.causal()
    batch = lm.vocabulary.encode(TEXTS)
    with torch.inference_mode():
        inside = lm.score(batch.rows([0, 1])).log_prob.tolist()
    outside = lm.score(batch).log_prob
    assert outside[:2].tolist() == inside
    with torch.inference_mode():
        assert lm.forgetful().score(batch).log_prob.equal(outside)


def test_models_that_cannot_go_on_are_read_whole(tmp_path: Path) -> None:
    from transformers import MistralConfig, MistralForCausalLM

    tokenizer = byte_tokenizer()
    shape: dict[str, Any] = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "sliding_window": 3}
    shape |= {"num_attention_heads": 4, "num_key_value_heads": 2, "initializer_range": 0.3}
    model = seeded(
        MistralForCausalLM, MistralConfig(vocab_size=len(tokenizer), bos_token_id=0, eos_token_id=0, **shape)
    )
    lm = causal_lm(save(tmp_path / "mistral", model, tokenizer), device="cpu")
    batch = lm.vocabulary.encode(TEXTS)
    found = lm.score(batch, "The old dog").log_prob
    assert not lm.tree.flat
    rows = [[*lm.vocabulary.encode(["The old dog"]).token_lists()[0], *row, lm.eos] for row in batch.token_lists()]
    start = len(rows[1]) - 2
    wanted = torch.tensor([sum(by_hand(lm.model, row)[start:]) for row in rows], dtype=torch.float64)
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=0)
    one_by_one = [lm.forgetful().score(batch.rows([i]), "The old dog").log_prob for i in range(len(batch))]
    assert torch.cat(one_by_one).equal(found)


def test_texts_longer_than_a_window_are_refused() -> None:
    from transformers import MistralConfig, MistralForCausalLM

    shape: dict[str, Any] = {"vocab_size": 40, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
    config = MistralConfig(**shape, num_attention_heads=4, num_key_value_heads=2, sliding_window=20)
    tree = tree_of(seeded(MistralForCausalLM, config).eval())
    assert tree.flat
    tree.read([[0] * 20])
    with pytest.raises(ValueError, match="a text of 21 tokens, its prompt included, is longer than the window of 20"):
        tree.read([[0] * 21])


def too_long(most: int) -> Callable[..., Tensor]:
    """Passes on a device that has room for so many tokens."""
    whole = flat.read_flat

    def read_flat(model: Any, tokens: list[int], *arguments: Any, **settings: Any) -> Tensor:
        if len(tokens) > most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return whole(model, tokens, *arguments, **settings)

    return read_flat


@pytest.mark.parametrize("most", [16, 20, 48])
def test_out_of_memory_halves_the_passes_and_goes_on(tiny: Tiny, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    causal, masked = tiny.causal(), tiny.masked(max_tokens=512)
    batch, other = causal.vocabulary.encode(TEXTS), masked.vocabulary.encode(TEXTS)
    rows, positions = every_position(other.lengths)
    wanted = causal.forgetful().score(batch).log_prob, masked.forgetful().log_probs(other, rows, positions)
    monkeypatch.setattr("textsearch.models.reading.prefix_tree.read_flat", too_long(most))
    monkeypatch.setattr("textsearch.models.reading.packing.read_flat", too_long(max(most, 32)))
    with pytest.warns(RuntimeWarning, match="did not fit into memory; from now on passes have at most"):
        assert causal.score(batch).log_prob.equal(wanted[0])
        assert masked.log_probs(other, rows, positions).equal(wanted[1])
    assert causal.tree.budget.most <= most
    assert masked.budget.most <= max(most, 32)
    assert_sound(causal.tree)


def test_too_little_memory_for_anything_is_an_error(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    causal = tiny.causal()
    batch = causal.vocabulary.encode(TEXTS)
    assert causal.tree.flat
    monkeypatch.setattr("textsearch.models.reading.prefix_tree.read_flat", too_long(3))
    with pytest.warns(RuntimeWarning, match="did not fit"), pytest.raises(torch.OutOfMemoryError):
        causal.score(batch)
    assert held(causal.tree) == set()
    assert_sound(causal.tree)


def long_scores(lm: Any, order: list[int]) -> list[float]:
    """Of one text after prompts of 150 to 430 tokens that begin alike, asked for one after another."""
    own = lm.forgetful()
    prompts = [
        "".join(chr(97 + (7 * place + place // 11) % 26) for place in range(size)) for size in range(150, 440, 17)
    ]
    found = {number: own.score(own.vocabulary.encode(["the dog sat"]), prompts[number]).log_prob for number in order}
    return [float(found[number]) for number in sorted(found)]


def test_what_was_read_before_changes_no_bit_of_long_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = byte_tokenizer()
    # products over heads of few numbers take another way
    heads = {"hidden_size": 128, "num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 1024}
    config = LlamaConfig(**shape(len(tokenizer), **heads), bos_token_id=0, eos_token_id=0)
    lm = causal_lm(save(tmp_path, seeded(LlamaForCausalLM, config), tokenizer), device="cpu")
    up, down = list(range(18)), list(range(18))[::-1]
    scores = long_scores(lm, up)
    assert scores == long_scores(lm, down) == [long_scores(lm, [number])[0] for number in up]
    # the control: keys in widths of which a product sums some in halves
    monkeypatch.setattr(flat, "_depth", lambda count: flat._width(count, GRAIN))
    assert long_scores(lm, up) != long_scores(lm, down)
