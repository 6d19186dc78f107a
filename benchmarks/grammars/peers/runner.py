"""One job of the peers, by their Python and by this file's path: python runner.py job.json draws.jsonl.

Imports nothing of this project. Writes what `jobs.py` reads: a line for what came before the draws, then one for each
draw as soon as it is there, and one at the end.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import math
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

import torch

END = "<|im_end|>"


class Peers:
    """The model as genlm loads it, with a count of what it reads, and one language."""

    def __init__(self, job: dict[str, Any]) -> None:
        self.job = job
        self.control = importlib.import_module("genlm.control")
        self.llm = self.control.PromptedLLM.from_name(
            job["model"],
            backend="hf",
            eos_byte_strings=[END.encode()],
            hf_opts={"dtype": torch.float32, "torch_dtype": torch.float32, "device_map": "cpu"},
        )
        self.lm, self.tokenizer = self.llm.model.model, self.llm.model.tokenizer
        self.end = self.tokenizer.convert_tokens_to_ids(END)
        self.prompt = self.tokenizer.encode(job["prompt"], add_special_tokens=False)
        self.tokens = 0
        self.lm.register_forward_pre_hook(self._count, with_kwargs=True)

    def _count(self, module: Any, args: Any, options: Any) -> None:
        self.tokens += (options["input_ids"] if "input_ids" in options else args[0]).numel()

    def masked(self) -> Iterator[list[tuple[list[int], float, bool]]]:
        """Token by token with transformers: forbid what llguidance forbids, renormalise, draw; rows side by side."""
        guidance, bits = importlib.import_module("llguidance"), importlib.import_module("llguidance.torch")
        engine = importlib.import_module("llguidance.hf").from_tokenizer(
            self.tokenizer, n_vocab=self.lm.config.vocab_size, eos_token=self.end
        )
        first = guidance.LLMatcher(engine, guidance.LLMatcher.grammar_from_regex(self.job["pattern"]))
        if first.is_error():
            raise ValueError(first.get_error())
        yield []
        count = self.job["rows"]
        while True:
            matchers = [first.deep_copy() for _ in range(count)]
            texts: list[list[int]] = [[] for _ in range(count)]
            ended = [False] * count
            ids, cache = torch.tensor([self.prompt] * count), None
            for _ in range(self.job["max_tokens"] + 1):
                out = self.lm(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
                logits, cache = out.logits[:, -1].float(), out.past_key_values
                mask = bits.allocate_token_bitmask(count, logits.shape[-1])
                for row, matcher in enumerate(matchers):
                    if ended[row]:
                        mask[row] = 0
                        mask[row, self.end // 32] = 1 << (self.end % 32)
                    else:
                        bits.fill_next_token_bitmask(matcher, mask, row)
                bits.apply_token_bitmask_inplace(logits, mask)
                ids = torch.multinomial(logits.softmax(-1), 1)
                for row, token in enumerate(ids[:, 0].tolist()):
                    if ended[row]:
                        continue
                    if token == self.end:
                        ended[row] = True
                    else:
                        texts[row].append(token)
                        matchers[row].consume_token(token)
                if all(ended):
                    break
            yield [(text, 0.0, end) for text, end in zip(texts, ended, strict=True)]

    async def populations(self) -> AsyncIterator[list[tuple[list[int], float, bool]]]:
        """Populations of AWRS or of plain particles that the language weighs, one after another."""
        condition = self.control.BoolFSA.from_regex(self.job["pattern"]).coerce(self.llm, f=b"".join)
        self.llm.prompt_ids = self.prompt
        yield []
        number = self.job["seed"]
        while True:
            options = {"n_particles": self.job["rows"], "max_tokens": self.job["max_tokens"] + 1, "ess_threshold": 0.5}
            if self.job["method"] == "genlm AWRS":
                found = await self.control.AWRS(self.llm, condition, seed=number).smc(**options)
            else:
                found = await self.control.direct_token_sampler(self.llm).smc(critic=condition, **options)
            yield [self._particle(*one) for one in zip(found.contexts, found.log_weights, strict=True)]
            number += 1

    def _particle(self, context: Sequence[Any], log_weight: float) -> tuple[list[int], float, bool]:
        ended = bool(context) and context[-1] is self.control.EOS
        return [int(token.token_id) for token in (context[:-1] if ended else context)], float(log_weight), ended


async def run(job: dict[str, Any], out: TextIO) -> None:
    """All draws of a job."""

    def tell(line: dict[str, Any]) -> None:
        out.write(json.dumps(line) + "\n")
        out.flush()

    torch.manual_seed(job["seed"])
    importlib.import_module("numpy").random.seed(job["seed"])
    peers = Peers(job)
    # the language is compiled before the first group, which is empty
    began, number, drawn = time.process_time(), -1, 0
    groups = _all(peers.masked()) if job["method"] == "llguidance mask" else peers.populations()
    async for group in groups:
        number += 1
        if number == 0:
            tell({"compiling": time.process_time() - began})
            began, peers.tokens = time.process_time(), 0
            continue
        seconds = time.process_time() - began
        for tokens, log_weight, ended in group:
            weight = log_weight if log_weight > -math.inf else None
            tell({"tokens": tokens, "log_weight": weight, "group": number - 1, "ended": ended})
        drawn += len(group)
        tell({"drawn": drawn, "seconds": seconds, "read": peers.tokens})
        if drawn >= job["draws"] or seconds >= job["seconds"]:
            return


async def _all(groups: Iterator[Any]) -> AsyncIterator[Any]:
    for group in groups:
        yield group


def main() -> None:
    torch.set_num_threads(1)
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    with Path(sys.argv[2]).open("w", encoding="utf-8") as out, torch.inference_mode():
        asyncio.run(run(job, out))


if __name__ == "__main__":
    main()
