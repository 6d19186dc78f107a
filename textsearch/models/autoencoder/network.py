"""The network of a transformer-based text autoencoder (T-TA; Shin, Lee and Yoon, 2020).

A masked language model learns what stands under a mask, so it needs a pass for each token of a text. Here every
position is told what all the others hold, and nothing of its own token:

- queries begin as the embedding of a mask at their position, whatever stands there;
- keys and values are those of the tokens' embeddings, the same for all layers: the state of another position, which
  has seen this one, is never looked at;
- no position attends to itself.

So position i is a function of the other tokens alone, and one pass gives all n conditionals.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention

from textsearch.models.checkpoints.quantized import pack, unpack

CONFIG, WEIGHTS, KIND = "config.json", "model.safetensors", "text_autoencoder"


@final
@dataclass(frozen=True)
class Shape:
    """Sizes of a text autoencoder.

    Attributes:
        vocab_size: tokens that it reads and writes.
        mask_id: the token whose embedding the queries begin with.
        hidden_size: width of the states.
        intermediate_size: width within the feed-forward parts.
        num_hidden_layers: layers.
        num_attention_heads: heads of each.
        max_position_embeddings: tokens of a text, those around it included.
        layer_norm_eps: as in BERT.
    """

    vocab_size: int
    mask_id: int
    hidden_size: int = 384
    intermediate_size: int = 1536
    num_hidden_layers: int = 3
    num_attention_heads: int = 12
    max_position_embeddings: int = 512
    layer_norm_eps: float = 1e-12

    def __post_init__(self) -> None:
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(f"{self.num_attention_heads} heads do not share a width of {self.hidden_size} evenly")
        if not 0 <= self.mask_id < self.vocab_size:
            raise ValueError(f"mask_id={self.mask_id} is none of {self.vocab_size} tokens, from 0 on")


class _Layer(nn.Module):
    """Attention to the embeddings of the other positions, and a feed-forward part; normalised as in BERT."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width = shape.hidden_size
        self.heads = shape.num_attention_heads
        self.query, self.key, self.value, self.attended = (nn.Linear(width, width) for _ in range(4))
        self.after_attention = nn.LayerNorm(width, shape.layer_norm_eps)
        self.inner, self.outer = nn.Linear(width, shape.intermediate_size), nn.Linear(shape.intermediate_size, width)
        self.after_feed_forward = nn.LayerNorm(width, shape.layer_norm_eps)

    def forward(self, states: Tensor, embedded: Tensor, sees: Tensor) -> Tensor:
        """(B, W, d) states of the positions, from those before and the embeddings (B, W, d) of the tokens."""
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in (self.query(states), self.key(embedded), self.value(embedded))
        )
        found = scaled_dot_product_attention(query, key, value, attn_mask=sees)
        states = self.after_attention(states + self.attended(found.transpose(1, 2).flatten(2)))
        return self.after_feed_forward(states + self.outer(gelu(self.inner(states))))  # type: ignore[no-any-return]


@final
class AutoencoderNetwork(nn.Module):
    """What gives a vector for each position of a text that says which token stands there, without having seen it.

    Attributes:
        config: its sizes.
    """

    def __init__(self, config: Shape) -> None:
        super().__init__()
        self.config = config
        width, eps = config.hidden_size, config.layer_norm_eps
        self.words = nn.Embedding(config.vocab_size, width)
        self.positions = nn.Embedding(config.max_position_embeddings, width)
        self.embedded = nn.LayerNorm(width, eps)
        self.layers = nn.ModuleList(_Layer(config) for _ in range(config.num_hidden_layers))
        self.transform, self.transformed = nn.Linear(width, width), nn.LayerNorm(width, eps)
        self.head = nn.Linear(width, config.vocab_size)
        self.head.weight = self.words.weight
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=0.02)
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.words.weight.device

    def get_input_embeddings(self) -> nn.Embedding:
        """The vectors that tokens are read as."""
        return self.words

    def get_output_embeddings(self) -> nn.Linear:
        """What makes logits of the vectors that `forward` gives."""
        return self.head

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """(B, W, d) for each position, what the head projects onto the vocabulary; without looking at its own token.

        Args:
            input_ids: (B, W) tokens, two of each row at least.
            attention_mask: (B, W), 0 for padding.
        """
        width = input_ids.shape[1]
        places = self.positions.weight[:width]
        embedded = self.embedded(self.words(input_ids) + places)
        states = self.embedded(self.words.weight[self.config.mask_id] + places).expand_as(embedded)
        others = ~torch.eye(width, dtype=torch.bool, device=input_ids.device)
        sees = (others & attention_mask.bool()[:, None])[:, None]
        for layer in self.layers:
            states = layer(states, embedded, sees)
        return self.transformed(gelu(self.transform(states)))  # type: ignore[no-any-return]

    def save(self, folder: Path) -> None:
        """Packed: matrices as int8 rows with a scale each."""
        from safetensors.torch import save_file

        folder.mkdir(parents=True, exist_ok=True)
        state = {name: value.contiguous() for name, value in self.state_dict().items() if name != "head.weight"}
        save_file(pack(state), folder / WEIGHTS)
        config = {"model_type": KIND, **asdict(self.config)}
        (folder / CONFIG).write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")

    @staticmethod
    def load(folder: Path, dtype: torch.dtype = torch.float32) -> AutoencoderNetwork:
        """As it was saved, in evaluation mode, to within half a step of each row's scale.

        Raises:
            ValueError: the folder holds no such network, or a damaged one.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            told: Any = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
            if not isinstance(told, dict) or told.pop("model_type", None) != KIND:
                raise ValueError("its config.json is not that of a text autoencoder")
            network = AutoencoderNetwork(Shape(**told))
            state = unpack(load_file(folder / WEIGHTS))
            network.load_state_dict({**state, "head.weight": state["words.weight"]})
        except (OSError, ValueError, TypeError, KeyError, RuntimeError, SafetensorError) as error:
            raise ValueError(
                f"cannot load the text autoencoder {str(folder)!r}: {str(error).splitlines()[0]} -- the folder must "
                f"hold {CONFIG}, {WEIGHTS} and tokenizer files as training/text_autoencoder.py writes them"
            ) from error
        return network.to(dtype=dtype).eval().requires_grad_(False)
