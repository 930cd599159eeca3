"""The rule language: canonical form, sentences, files out and in."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdsl.features import NUMBERS
from kdsl.rules import expression, parse
from kdsl.rules.atom import Comparison, Expression, Words, canonical_word
from kdsl.rules.errors import RuleError
from kdsl.rules.matching import decide, occurs
from kdsl.rules.provenance import Evidence, Provenance, wilson_low
from kdsl.rules.rule import Rule
from kdsl.rules.ruleset import RuleSet, diff
from kdsl.rules.sentence import sentence
from kdsl.text import normalise


def rule(*atoms, label="退款", task="intent", **more):
    return Rule(task, label, tuple(atoms), **more)


def any_of(*words, field="last_user"):
    return Words(field, "any_of", words)


def none_of(*words, field="last_user"):
    return Words(field, "none_of", words)


def test_spelling_and_order_do_not_count():
    one = rule(any_of("ＲＥＦＵＮＤ", "退款"), none_of("发货"), Comparison("n_images", ">=", 1))
    two = rule(Comparison("n_images", ">=", 1.0), none_of("发货", "发货"), any_of("退款", "refund", "Refund "))
    assert one == two
    assert hash(one) == hash(two)
    assert one.rule_id == two.rule_id
    assert one != rule(any_of("退款"), label="换货")
    assert one != rule(any_of("退款"), task="scene")


def test_a_conjunction_has_one_form_however_it_is_grouped():
    assert rule(any_of("a"), any_of("b")) == rule(Words("last_user", "all_of", ("b", "a")))
    assert rule(any_of("a"), none_of("b"), none_of("c")) == rule(none_of("c", "b"), any_of("a"))
    assert rule(Words("user", "all_of", ("a",))) == rule(any_of("a", field="user"))
    assert rule(any_of("a", "b"), any_of("c", "d")) != rule(any_of("a", "b", "c", "d"))


def test_bounds_are_tightened():
    tight = rule(Comparison("aspect", ">", 1), Comparison("aspect", ">=", 1), Comparison("aspect", "<", 3))
    assert tight.atoms == (Comparison("aspect", "<", 3), Comparison("aspect", ">", 1))
    assert rule(Comparison("aspect", "<=", 2), Comparison("aspect", ">=", 2)).atoms == (Comparison("aspect", "==", 2),)


@pytest.mark.parametrize(
    ("atoms", "says"),
    [
        ((any_of("退款"), none_of("退")), "must not hold '退'"),
        ((any_of("refund"), none_of("refund")), "must not hold"),
        ((any_of("a", "b"), none_of("a", "b", "c")), "none_of rules each out"),
        ((Comparison("aspect", ">", 2), Comparison("aspect", "<", 2)), "cannot be"),
        ((Comparison("aspect", "==", 2), Comparison("aspect", ">", 2)), "cannot be"),
        ((Expression("user", "a.b"), Expression("user", "a.b", negative=True)), "must match"),
    ],
)
def test_contradictions_are_refused(atoms, says):
    with pytest.raises(RuleError, match="can never fire") as error:
        rule(*atoms)
    assert says in str(error.value)


def test_a_word_inside_another_contradicts_only_between_borders():
    assert rule(any_of("refunds"), none_of("refund")).size == 2  # words: both can hold
    with pytest.raises(RuleError, match="can never fire"):
        rule(any_of("my refund"), none_of("refund"))


def test_sentences():
    it = rule(
        any_of("退款", "退钱"),
        none_of("发货", "物流"),
        Expression("ocr", r"单号.{0,4}\d{4}"),
        Comparison("n_images", ">=", 1),
    )
    assert sentence(it) == (
        "If “退款” or “退钱” is in the shopper's last words, and neither “发货” nor “物流” is in the shopper's last "
        "words, and the number of pictures is at least 1, and /单号.{0,4}\\d{4}/ is found in the picture's text, then "
        "intent is 退款."
    )
    assert sentence(it, "zh-CN") == (
        "如果用户最后一句话包含“退款”或“退钱”，且用户最后一句话不包含“发货”或“物流”，且图片数至少为 1，"
        "且图片文字匹配/单号.{0,4}\\d{4}/，则 intent 为“退款”。"
    )
    assert "“a” and “b” are in" in sentence(rule(Words("user", "all_of", ("a", "b"))))
    assert "“a” is not in" in sentence(rule(none_of("a")))


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_number_has_a_name(language):
    """Eight of fourteen were printed raw, as in `line_height_max is above 0.1`."""
    for name in NUMBERS:
        assert name not in sentence(rule(Comparison(name, ">", 0)), language)


def test_a_quoted_word_is_never_rewritten():
    """`neither` was made of `is not in` by replacing its first place, which may be in a word."""
    it = sentence(rule(none_of("size is not in stock", "b")))
    assert it == "If neither “b” nor “size is not in stock” is in the shopper's last words, then intent is 退款."


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("REFUND", "refund"),
        ("订单 9 [１-９]{2,3}", "订单 0 [0-0]{2,3}"),
        ("(a|ß)+", "(?:a|ss)+"),
        ("ß+x", "(?:ss)+x"),
        ("ｶﾞ+[ﾊﾟ]Ａ\u0301", "ガ+[パ]á"),
        ("ǰ+b", "(?:(?:j)\u030c)+b"),
        (r"\d{4,}元", r"\d{4,}元"),
        ("（退）", r"\(退\)"),
        (r"a  b", "a b"),
        (r"\p{Han}+x", r"\p{Han}+x"),
        (r"[^\]退A-C.]", r"[^\]退a-c\.]"),
        ("a+?b{2}?", "a+?b{2}?"),
    ],
)
def test_expressions_are_read_as_texts_are(given, written):
    assert Expression("user", given).pattern == written
    assert Expression("user", written).pattern == written


@given(st.text("ｶﾞﾊﾟｱaＡ\u0301\u0327ㄱㅏ退ß", min_size=1, max_size=6))
def test_an_expression_of_plain_characters_is_found_where_they_stand(text):
    """Characters were normalised one by one: half-width kana never met their marks, as they do in texts."""
    written = Expression("user", text).pattern
    assert expression.compiled(written).search(normalise(f"x{text}y")) is not None
    assert Expression("user", written).pattern == written


def test_what_re2_refuses_is_shown_as_it_was_written_with_a_remedy():
    with pytest.raises(RuleError) as error:
        Expression("user", "(ABC９")
    assert str(error.value) == (
        "RE2 refuses the expression '(ABC９': missing ); close the group with ), or write \\( for the character itself"
    )
    with pytest.raises(RuleError, match="repetition size; make its repeats smaller"):
        Expression("user", "((((a{200}){200}){200}){200})b")
    with pytest.raises(RuleError, match=r"'Ａ\*' holds on an empty text"):
        Expression("user", "Ａ*")


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("(?=退)款", "look-ahead"),
        ("(?<!不)退", "look-behind"),
        ("(?i)退", "a flag"),
        ("(?P<a>b)", "named group"),
        (r"(a)\1", "escape"),
        ("(a+)+", "without end"),
        ("((?:a|b*)c?)*x", "without end"),
        ("a*", "empty text"),
        ("^", "empty text"),
        ("a{1001}", "too large"),
        ("((((a{200}){200}){200}){200})b", "RE2 refuses"),
        ("(退", "RE2 refuses"),
        ("退)", "closes no group"),
        ("[退", "not closed"),
        ("[]", "empty"),
        ("[[:alpha:]]", "inside a class"),
        ("{2}", "missing argument|begins no repeat|RE2 refuses"),
        ("a{x}", "begins no repeat"),
        ("x" * 301, "301 characters"),
        ("a\x00", "control character"),
        ("a**", "without end"),
        ("", "empty"),
        ("a\\", "escape"),
    ],
)
def test_refused_expressions_say_why(pattern, says):
    with pytest.raises(RuleError, match=says):
        Expression("user", pattern)


@pytest.mark.parametrize("negative", [False, True])
def test_an_expression_that_is_too_long_as_it_is_kept_is_refused(negative):
    """`not_matches` was taken, and the table and the release that held it could not be read again."""
    with pytest.raises(RuleError, match=r"'\(ab\)\(cd\).*has 420 characters as rules keep it"):
        rule(any_of("x"), Expression("user", "(ab)(cd)" * 35, negative))


def test_a_word_that_normalising_makes_too_long_is_refused():
    """It was taken, and the file that it was written to could not be read again."""
    with pytest.raises(RuleError, match="144 characters; at most 100"):
        canonical_word("㎯" * 24)


def test_matching_is_decided_by_the_data():
    assert decide(["我要退款", "order 1 到哪了", None]) == "substring"
    assert decide(["where is my refund?", ""]) == "words"
    assert decide([]) == "words"


def test_words_want_borders_and_han_does_not():
    assert occurs("refund", "my refund!", "words")
    assert not occurs("refund", "refunds", "words")
    assert occurs("refund", "refunds", "substring")
    assert occurs("退款", "我要退款了", "words")
    assert occurs("退款", "refund退款refund", "words")
    assert occurs("vip", "开vip吧", "words")
    assert not occurs("e", "e\u0301t", "words")


def full_set():
    seen = Evidence(fired=9, right=8, unseen_fired=4, unseen_right=3, examples=("c1", "no"), counter_examples=("007",))
    made = Provenance("search", "abc", "", "statistics", 300, 7)
    rules = (
        rule(
            any_of("no", "1e3", "退款", "a: b", "- x", "#y", "\U0001f600"),
            none_of("null"),
            state="learned",
            evidence=seen,
            provenance=made,
        ),
        rule(Expression("ocr", r"单号.{0,4}\d{4}['\"]"), Comparison("aspect", "<", 1.75), label="物流: 页"),
        rule(Comparison("has_text", "==", 0), task="scene", label="other", state="banned"),
    )
    return RuleSet("shop", rules, {"last_user": "substring", "ocr": "words"})


def test_files_lose_nothing(tmp_path):
    rules = full_set()
    (tmp_path / "r.yaml").write_text(rules.to_yaml(), encoding="utf-8")
    (tmp_path / "r.json").write_text(rules.to_json(), encoding="utf-8")
    for back in (parse.load(tmp_path / "r.yaml"), parse.load(tmp_path / "r.json")):
        assert back == rules
        assert back.to_dict() == rules.to_dict()  # evidence, provenance and state too
        assert back.fingerprint == rules.fingerprint


def _allowed(word):
    try:
        return bool(canonical_word(word))
    except RuleError:
        return False


words = st.text(min_size=1, max_size=8).filter(_allowed)


@settings(max_examples=150, deadline=None)
@given(st.lists(words, min_size=1, max_size=5), st.floats(allow_nan=False, allow_infinity=False, width=32))
def test_any_rule_survives_yaml_and_json(some, value):
    it = rule(any_of(*some), Comparison("aspect", "<=", value), label=some[0].strip() or "x")
    rules = RuleSet("t", (it,))
    assert parse.from_yaml(rules.to_yaml()).to_dict() == rules.to_dict()
    assert parse.from_json(rules.to_json()).to_dict() == rules.to_dict()


def test_the_fingerprint_is_one_of_meaning():
    rules = full_set()
    shuffled = list(rules.rules)
    random.Random(1).shuffle(shuffled)
    again = RuleSet("shop", tuple(shuffled), {"ocr": "words", "last_user": "substring"})
    assert again.fingerprint == rules.fingerprint
    banned = next(r for r in rules.rules if not r.active)
    assert (
        RuleSet("shop", tuple(r for r in rules.rules if r != banned), rules.matching).fingerprint == rules.fingerprint
    )
    learned = next(r for r in rules.rules if r.state == "learned")
    assert rules.pin(learned.rule_id).fingerprint == rules.fingerprint
    assert rules.ban(learned.rule_id).fingerprint != rules.fingerprint
    assert RuleSet("shop", rules.rules, {"last_user": "words", "ocr": "words"}).fingerprint != rules.fingerprint


def test_what_people_did_survives_a_new_search():
    old = full_set()
    learned = next(r for r in old.rules if r.state == "learned")
    fresh = rule(any_of("new"), state="learned")
    after = old.ban(learned.rule_id).relearned(RuleSet("shop", (learned, fresh), old.matching))
    assert after.get(learned.rule_id).state == "banned"  # the same meaning does not come back
    assert fresh in after.rules
    assert {r.state for r in after.rules} == {"banned", "written", "learned"}
    edited = old.edit(learned.rule_id, rule(any_of("退钱")), who="ann")
    new = edited.get(rule(any_of("退钱")).rule_id)
    assert (new.state, new.provenance.parent, new.provenance.run) == ("edited", learned.rule_id, "ann")
    change = diff(old, edited.write(rule(any_of("w")), "bob"))
    assert [len(change.added), len(change.gone), len(change.changed)] == [2, 1, 0]
    assert [(a.state, b.state) for a, b in diff(old, old.pin(learned.rule_id)).changed] == [("learned", "pinned")]


def test_changing_a_condition_in_the_file_is_an_edit():
    rules = full_set()
    learned = next(r for r in rules.rules if r.state == "learned")
    back = parse.from_yaml(rules.to_yaml().replace("- 退款\n", "- 退钱\n"))
    new = next(r for r in back.rules if r.provenance.parent == learned.rule_id)
    assert new.state == "edited"
    assert new.evidence == Evidence()


def test_wilson():
    assert wilson_low(9, 10) == pytest.approx(0.5958, abs=1e-4)  # R: prop.test(9, 10, correct=FALSE)
    assert wilson_low(0, 0) == 0
    assert Evidence(unseen_fired=10, unseen_right=9).bound == wilson_low(9, 10)


@given(st.text())
def test_a_canonical_word_is_one_for_good(word):
    if _allowed(word):
        once = canonical_word(word)
        assert canonical_word(once) == once
        assert normalise(once) == once
