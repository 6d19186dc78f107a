"""Run by the peers' Python, by its path: python runner.py jobs.json answers.jsonl. Imports nothing of this project."""

from __future__ import annotations

import asyncio
import importlib
import json
import random
import sys
import time
from pathlib import Path
from typing import Any

Drawn = list[tuple[list[int], float | None, int, bool]]
"""Tokens, log weight (None for -inf), population, whether the end was drawn."""

END = "<|im_end|>"


def main() -> None:
    torch = importlib.import_module("torch")
    asked = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    model: Model | None = None
    with Path(sys.argv[2]).open("w", encoding="utf-8") as out:
        for number, job in enumerate(asked["jobs"]):
            answer: dict[str, Any] = {"number": number}
            try:
                model = model or Model(asked["model"])
                torch.manual_seed(job["seed"])
                random.seed(job["seed"])
                importlib.import_module("numpy").random.seed(job["seed"])
                answer |= model.masked(job) if job["method"] == "llguidance mask" else model.particles(job)
            except Exception as error:
                answer["error"] = f"{type(error).__name__}: {error}"[:600]
            out.write(json.dumps(answer) + "\n")
            out.flush()


class Model:
    """The model, loaded once, with a count of what it reads."""

    def __init__(self, folder: str) -> None:
        control = importlib.import_module("genlm.control")
        self.control = control
        self.torch = importlib.import_module("torch")
        self.guidance = importlib.import_module("llguidance")
        self.llm = control.PromptedLLM.from_name(
            folder,
            backend="hf",
            eos_byte_strings=[END.encode()],
            hf_opts={"dtype": self.torch.float32, "torch_dtype": self.torch.float32, "device_map": "cpu"},
        )
        self.lm, self.tokenizer = self.llm.model.model, self.llm.model.tokenizer
        self.end = self.tokenizer.convert_tokens_to_ids(END)
        self.engine = importlib.import_module("llguidance.hf").from_tokenizer(
            self.tokenizer, n_vocab=self.lm.config.vocab_size, eos_token=self.end
        )
        self.tokens = self.passes = 0
        self.lm.register_forward_pre_hook(self._count, with_kwargs=True)

    def _count(self, module: Any, args: Any, options: Any) -> None:
        ids = options["input_ids"] if "input_ids" in options else args[0]
        self.tokens += ids.numel()
        self.passes += 1

    def masked(self, job: dict[str, Any]) -> dict[str, Any]:
        """Token by token: forbid what the engine forbids, renormalise, draw; twenty texts at a time."""
        torch, guidance = self.torch, self.guidance
        bits = importlib.import_module("llguidance.torch")
        [(kind, source)] = job["language"].items()
        began = time.perf_counter()
        make = {"regex": "grammar_from_regex", "lark": "grammar_from_lark", "json_schema": "grammar_from_json_schema"}
        source = json.dumps(source) if kind == "json_schema" else source
        grammar = getattr(guidance.LLMatcher, make[kind])(source)
        first = guidance.LLMatcher(self.engine, grammar)
        if first.is_error():
            raise ValueError(first.get_error())
        compiling = time.perf_counter() - began
        prompt = self.tokenizer.encode(job["prompt"], add_special_tokens=False)
        self.tokens = self.passes = 0
        drawn: Drawn = []
        began = time.perf_counter()
        with torch.inference_mode():
            while len(drawn) < job["draws"] and time.perf_counter() - began < job["seconds"]:
                count = min(20, job["draws"] - len(drawn))
                matchers = [first.deep_copy() for _ in range(count)]
                texts: list[list[int]] = [[] for _ in range(count)]
                ended = [False] * count
                ids, cache = torch.tensor([prompt] * count), None
                for _ in range(job["max_tokens"]):
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
                drawn += [(text, 0.0, 0, end) for text, end in zip(texts, ended, strict=True)]
        return self._answer(drawn, began, compiling)

    def particles(self, job: dict[str, Any]) -> dict[str, Any]:
        """Populations of AWRS or of plain SMC, one after another."""
        [(kind, source)] = job["language"].items()
        began = time.perf_counter()
        if kind == "regex":
            condition = self.control.BoolFSA.from_regex(source)
        elif kind == "json_schema":
            condition = self.control.JsonSchema(source)
        else:
            condition = self.control.BoolCFG.from_lark(source)
        condition = condition.coerce(self.llm, f=b"".join)
        self.llm.prompt_ids = self.tokenizer.encode(job["prompt"], add_special_tokens=False)
        compiling = time.perf_counter() - began
        self.tokens = self.passes = 0
        drawn: Drawn = []
        began = time.perf_counter()

        async def populations() -> None:
            number = 0
            while len(drawn) < job["draws"] and time.perf_counter() - began < job["seconds"]:
                options = {"n_particles": job["particles"], "max_tokens": job["max_tokens"], "ess_threshold": 0.5}
                if job["method"] == "genlm AWRS":
                    found = await self.control.AWRS(self.llm, condition, seed=job["seed"] + number).smc(**options)
                else:
                    found = await self.control.direct_token_sampler(self.llm).smc(critic=condition, **options)
                for context, weight in zip(found.contexts, found.log_weights, strict=True):
                    ended = bool(context) and context[-1] is self.control.EOS
                    tokens = [int(token.token_id) for token in (context[:-1] if ended else context)]
                    drawn.append((tokens, float(weight) if weight > float("-inf") else None, number, ended))
                number += 1

        asyncio.run(populations())
        return self._answer(drawn, began, compiling)

    def _answer(self, drawn: Drawn, began: float, compiling: float) -> dict[str, Any]:
        return {
            "draws": drawn,
            "seconds": time.perf_counter() - began,
            "compiling": compiling,
            "tokens": self.tokens,
            "passes": self.passes,
        }


if __name__ == "__main__":
    main()
