"""How a model's chat goes around a prompt: its template, rendered once around marks."""

from dataclasses import dataclass
from typing import Any

from kdsl.errors import ConfigError, reason

SYSTEM = "You label messages and pictures of a shop's customer service. Answer with the code of one label."
# Templates that tell today's date would ask another question every night, and another than was learned: they are told
# this one, which Llama's own names where it knows none.
_SAME_DAY = "{%- macro strftime_now(form) -%}26 Jul 2024{%- endmacro -%}"
ITEM, _LEFT, _RIGHT = "\ue000item\ue000", "\ue000left\ue000", "\ue000right\ue000"


@dataclass(frozen=True, slots=True)
class Frame:
    """The model's chat around a prompt: text before and behind the item, and around each picture's tokens."""

    before: str
    behind: str
    picture_left: str = ""
    picture_right: str = ""


def frame(tokenizer: Any, *, pictures: bool) -> Frame:
    """How a model's own chat template frames a prompt; a plain frame where it has none.

    Raises:
        ConfigError: the template refuses or drops what it is given.
    """
    if not getattr(tokenizer, "chat_template", None):
        return Frame(f"{_begin(tokenizer)}{SYSTEM}\n{ITEM}\n", "\nAnswer:\n")
    ask = f"{ITEM}{_LEFT}"
    text = _opened(tokenizer, ask)
    if ask not in text or SYSTEM not in text:
        raise ConfigError("model: its chat template drops the system or the user text; use an instruction-tuned model.")
    before, behind = text.split(_LEFT)
    left = right = ""
    if pictures:
        parts = [{"type": "text", "text": _LEFT}, {"type": "image"}, {"type": "text", "text": _RIGHT}]
        around = _render(tokenizer, [{"role": "user", "content": parts}]).split(_LEFT)[-1].split(_RIGHT)[0]
        left, mark, right = _around(around, tokenizer)
        if not mark:
            raise ConfigError("model: its chat template has no place for a picture; is it the processor of this model?")
    return Frame(before, behind, left, right)


def _begin(tokenizer: Any) -> str:
    """What a tokenizer puts before every text, where it does; templates say it themselves."""
    begin = getattr(tokenizer, "bos_token_id", None)
    return str(tokenizer.bos_token) if begin is not None and tokenizer("a").input_ids[:1] == [begin] else ""


def _opened(tokenizer: Any, ask: str) -> str:
    """The chat up to the answer; where a template refuses or drops a system turn, its text stands before the user's."""
    try:
        text = _render(tokenizer, [{"role": "system", "content": SYSTEM}, {"role": "user", "content": ask}])
    except ConfigError:  # Gemma's has no system turn
        text = ""
    return text if SYSTEM in text else _render(tokenizer, [{"role": "user", "content": f"{SYSTEM}\n\n{ask}"}])


def _render(tokenizer: Any, messages: list[dict[str, Any]]) -> str:
    try:
        # The code of a label is the answer itself: nothing is thought aloud before it, where a template asks whether.
        known = str(tokenizer.get_chat_template())
        how: dict[str, Any] = {"chat_template": _SAME_DAY + known} if "strftime_now" in known else {}
        how |= {"tokenize": False, "add_generation_prompt": True, "enable_thinking": False}
        return str(tokenizer.apply_chat_template(messages, **how))
    except Exception as error:  # a template raises what it likes
        raise ConfigError(
            f"model: the chat template of {tokenizer.name_or_path} does not take a {messages[0]['role']} turn "
            f"({reason(error)}); mend chat_template.jinja or tokenizer_config.json there, or use an instruction-tuned "
            "model."
        ) from error


def _around(text: str, tokenizer: Any) -> tuple[str, str, str]:
    for marker in ("<|image_pad|>", getattr(tokenizer, "image_token", None)):
        if marker and marker in text:
            return text.partition(marker)
    return "", "", ""
