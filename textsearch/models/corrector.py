"""The English corrector: the default causal model, taught by an adapter of this package to correct a text."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from textsearch.models.causal import TransformersCausalLM
    from textsearch.models.vocabulary import TokenizerVocabulary

ASK = "Correct the mistakes, and change nothing else: "
"""The request, in front of the text that it is about."""

_PROMPT = "<|im_start|>user\n" + ASK + "{}<|im_end|>\n<|im_start|>assistant\n"


def english_corrector(
    *, device: torch.device | str | None = None, dtype: torch.dtype | None = None
) -> TransformersCausalLM:
    """SmolLM2-135M-Instruct with low-rank adapters (Hu et al., 2022) that learnt to take mistakes out of English.

    After a `prompt` it writes the source again, corrected. `training/corrector.py` has how it was taught: from
    mistakes that were put into good sentences; no text of a learner was read.

    Args:
        device: by default an accelerator if there is one, else the CPU.
        dtype: of the weights; by default float32.

    Raises:
        RuntimeError: the default causal model is not there yet and cannot be fetched.
    """
    from textsearch.models.checkpoints.arguments import check_loading

    check_loading(None, device=device, dtype=dtype, trust_remote_code=False)
    import torch

    from textsearch.models import adapted_causal_lm
    from textsearch.models.recipes import load_corrector

    model, tokenizer = load_corrector(device=device, dtype=dtype or torch.float32)
    return adapted_causal_lm(model, tokenizer, bos=0)


def prompt(vocabulary: TokenizerVocabulary, source: str) -> str:
    """What the corrector reads before it writes the source again; what is spelt like a special token is text."""
    return _PROMPT.format(vocabulary.as_text(source))
