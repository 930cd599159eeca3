"""Free text from a local checkpoint, for proposals of rules and for paraphrases: labels are scored, never generated."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from kdsl.errors import ConfigError
from kdsl.models.checkpoint import Loaded, load
from kdsl.models.device import device_of
from kdsl.models.prompt import forbidden, unmarked

MAX_NEW_TOKENS = 120
MAX_PROMPT_TOKENS = 2_000
TEMPERATURE = 0.8  # of answers that are drawn
PENALTY = 1.1  # small models say one word for ever; not where they are drawn, which shall say the prompt's words again
UNSEEN_PIXELS = 3_136  # no picture is shown, but a model that sees wants to know a size


@dataclass(frozen=True)
class Writer:
    """Answers a prompt: greedily, so that the same prompt has the same answer, or with several drawn by a seed."""

    loaded: Loaded
    max_new_tokens: int = MAX_NEW_TOKENS

    @property
    def room(self) -> int:
        """Tokens of a prompt at most, beside the answer and the turns of the chat; below 1 it cannot be asked."""
        return min(self.loaded.context - 2 * self.max_new_tokens, MAX_PROMPT_TOKENS)

    def __call__(self, prompt: str) -> str:
        """How the answer goes on from the last line of the prompt; of a prompt that is too long the beginning goes.

        Raises:
            ConfigError: there is no `room` for a prompt.
        """
        (said,) = self._answers(prompt, do_sample=False, repetition_penalty=PENALTY)
        return said

    def several(self, prompt: str, n: int, seed: int) -> list[str]:
        """The same `n` times, each drawn; on CPU a function of prompt and seed.

        Raises:
            ConfigError: as above.
        """
        import torch

        torch.manual_seed(seed)
        how = {"temperature": TEMPERATURE, "top_p": 0.95, "top_k": 0}
        return self._answers(prompt, do_sample=True, num_return_sequences=n, **how)

    def _answers(self, prompt: str, **how: Any) -> list[str]:
        import torch

        model, tokenizer = self.loaded.model, self.loaded.tokenizer
        if self.room < 1:
            raise ConfigError(
                f"model: its context of {self.loaded.context:,} tokens has no room for a prompt beside an answer of "
                f"{self.max_new_tokens}; it must have more than {2 * self.max_new_tokens}. Use another model."
            )
        head, _, opening = prompt.rpartition("\n")
        head = unmarked(head, forbidden(tokenizer))  # texts of strangers stand in it
        kept = tokenizer(head, add_special_tokens=False)["input_ids"][-self.room :]
        text = tokenizer.decode(kept, skip_special_tokens=True)
        if tokenizer.chat_template:
            message = [{"role": "user", "content": text}]
            text = tokenizer.apply_chat_template(message, tokenize=False, add_generation_prompt=True) + opening
        else:
            text = f"{text}\n{opening}"
        rows = tokenizer(text, return_tensors="pt", add_special_tokens=False).to(model.device)
        with torch.inference_mode():
            said = model.generate(
                **rows,
                max_new_tokens=self.max_new_tokens,
                pad_token_id=tokenizer.pad_token_id or tokenizer.eos_token_id,
                **how,
            )
        new = said[:, rows["input_ids"].shape[1] :]
        return [str(text) for text in tokenizer.batch_decode(new, skip_special_tokens=True)]


@lru_cache(maxsize=1)
def open_writer(path: str, *, device: str = "auto") -> Writer:
    """The writer of a checkpoint directory, loaded once in the life of a process.

    Raises:
        ConfigError: see `kdsl.models.checkpoint.load`.
    """
    at = device_of(device)
    return Writer(load(path, device=at, max_pixels=UNSEEN_PIXELS, min_pixels=UNSEEN_PIXELS))
