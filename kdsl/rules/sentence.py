"""A rule as one sentence, in English or Chinese."""

from dataclasses import dataclass

from kdsl.rules.atom import Atom, Comparison, Expression, Words
from kdsl.rules.rule import Rule


@dataclass(frozen=True, slots=True)
class _Tongue:
    fields: dict[str, str]
    ops: dict[str, str]
    comparisons: dict[str, str]
    quote: tuple[str, str]
    or_: str
    and_: str
    atoms: str  # between atoms
    whole: str


_ENGLISH = _Tongue(
    fields={
        "last_user": "the shopper's last words",
        "user": "the shopper's words",
        "agent": "the agent's words",
        "ocr": "the picture's text",
        "ocr_top": "the text at the top of the picture",
        "ocr_middle": "the text in the middle of the picture",
        "ocr_bottom": "the text at the bottom of the picture",
        "ocr_large": "the largest text of the picture",
        "n_turns": "the number of turns",
        "n_images": "the number of pictures",
        "n_lines": "the number of lines of text",
        "aspect": "height over width of the picture",
        "digit_share": "the share of digits in the text",
        "has_text": "whether there is text (1) or none (0)",
    },
    ops={
        "any_of": "{words} is in {field}",
        "all_of": "{words} are in {field}",
        "none_of": "{words} is not in {field}",
        "matches": "{words} is found in {field}",
        "not_matches": "{words} is not found in {field}",
    },
    comparisons={"<": "below", "<=": "at most", ">": "above", ">=": "at least", "==": "equal to"},
    quote=("“", "”"),
    or_=" or ",
    and_=" and ",
    atoms=", and ",
    whole="If {atoms}, then {task} is {label}.",
)
_CHINESE = _Tongue(
    fields={
        "last_user": "用户最后一句话",
        "user": "用户的话",
        "agent": "客服的话",
        "ocr": "图片文字",
        "ocr_top": "图片上部文字",
        "ocr_middle": "图片中部文字",
        "ocr_bottom": "图片下部文字",
        "ocr_large": "图片最大文字",
        "n_turns": "对话轮数",
        "n_images": "图片数",
        "n_lines": "文字行数",
        "aspect": "图片高宽比",
        "digit_share": "数字占比",
        "has_text": "图片是否有文字（1 有，0 无）",
    },
    ops={
        "any_of": "{field}包含{words}",
        "all_of": "{field}包含{words}",
        "none_of": "{field}不包含{words}",
        "matches": "{field}匹配{words}",
        "not_matches": "{field}不匹配{words}",
    },
    comparisons={"<": "小于", "<=": "不超过", ">": "大于", ">=": "至少为", "==": "等于"},
    quote=("“", "”"),
    or_="或",
    and_="和",
    atoms="，且",
    whole="如果{atoms}，则 {task} 为“{label}”。",
)


def sentence(rule: Rule, language: str = "en") -> str:
    """The rule in words; Chinese where `language` begins with `zh`, English otherwise."""
    tongue = _CHINESE if language.lower().startswith("zh") else _ENGLISH
    atoms = tongue.atoms.join(_atom(atom, tongue) for atom in rule.atoms)
    return tongue.whole.format(atoms=atoms, task=rule.task, label=rule.label)


def _atom(atom: Atom, tongue: _Tongue) -> str:
    name = tongue.fields.get(atom.field, atom.field)
    if isinstance(atom, Comparison):
        how = tongue.comparisons[atom.op]
        return f"{name} is {how} {atom.value:g}" if tongue is _ENGLISH else f"{name}{how} {atom.value:g}"
    words = f"/{atom.pattern}/" if isinstance(atom, Expression) else _words(atom, tongue)
    said = tongue.ops[atom.op].format(field=name, words=words)
    return said.replace(" is not in ", " is in ", 1) if words.startswith("neither ") else said


def _words(atom: Words, tongue: _Tongue) -> str:
    left, right = tongue.quote
    quoted = [f"{left}{word}{right}" for word in atom.words]
    if atom.op == "none_of" and tongue is _ENGLISH and len(quoted) > 1:
        return "neither " + " nor ".join(quoted)
    return (tongue.and_ if atom.op == "all_of" else tongue.or_).join(quoted)
