"""A rule as one sentence, in English or Chinese."""

from dataclasses import dataclass

from kdsl.rules.atom import Atom, Comparison, Expression
from kdsl.rules.rule import Rule


@dataclass(frozen=True, slots=True)
class _Tongue:
    fields: dict[str, str]
    ops: dict[str, str]
    comparisons: dict[str, str]
    quote: tuple[str, str]
    or_: str
    and_: str
    nor: str
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
        "n_chars": "the number of characters in the picture",
        "text_area": "the share of the picture under text",
        "line_height": "the median height of a line over the picture's width",
        "line_height_max": "the height of the tallest line over the picture's width",
        "left_edge": "the mean left edge of the lines (0 left, 1 right)",
        "line_width": "the mean width of a line over the picture's width",
        "text_top": "where the first line begins (0 top, 1 bottom)",
        "text_bottom": "where the last line ends (0 top, 1 bottom)",
    },
    ops={
        "any_of": "{words} is in {field}",
        "all_of": "{words} are in {field}",
        "none_of": "{words} is not in {field}",
        "none_of_many": "neither {words} is in {field}",
        "matches": "{words} is found in {field}",
        "not_matches": "{words} is not found in {field}",
    },
    comparisons={"<": "below", "<=": "at most", ">": "above", ">=": "at least", "==": "equal to"},
    quote=("“", "”"),
    or_=" or ",
    and_=" and ",
    nor=" nor ",
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
        "n_chars": "图片字数",
        "text_area": "文字占图片面积的比例",
        "line_height": "行高中位数与图片宽度之比",
        "line_height_max": "最大行高与图片宽度之比",
        "left_edge": "各行左边缘的平均位置（0 左，1 右）",
        "line_width": "平均行宽与图片宽度之比",
        "text_top": "首行上缘位置（0 上，1 下）",
        "text_bottom": "末行下缘位置（0 上，1 下）",
    },
    ops={
        "any_of": "{field}包含{words}",
        "all_of": "{field}包含{words}",
        "none_of": "{field}不包含{words}",
        "none_of_many": "{field}不包含{words}",
        "matches": "{field}匹配{words}",
        "not_matches": "{field}不匹配{words}",
    },
    comparisons={"<": "小于", "<=": "不超过", ">": "大于", ">=": "至少为", "==": "等于"},
    quote=("“", "”"),
    or_="或",
    and_="和",
    nor="或",
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
    if isinstance(atom, Expression):
        return tongue.ops[atom.op].format(field=name, words=f"/{atom.pattern}/")
    op = "none_of_many" if atom.op == "none_of" and len(atom.words) > 1 else atom.op
    between = {"all_of": tongue.and_, "none_of_many": tongue.nor}.get(op, tongue.or_)
    left, right = tongue.quote
    return tongue.ops[op].format(field=name, words=between.join(f"{left}{word}{right}" for word in atom.words))
