"""The engine equals a naive evaluator, in batches of any size, on texts of any kind."""

import math
import pickle
import re
import sys
import unicodedata

import numpy as np
import pyarrow as pa
import pytest
import re2
from hypothesis import given, settings
from hypothesis import strategies as st

from kdsl.rules import engine as engine_module
from kdsl.rules.atom import Comparison, Expression, Words
from kdsl.rules.engine import Engine
from kdsl.rules.errors import RuleError
from kdsl.rules.rule import Rule
from kdsl.rules.ruleset import RuleSet
from kdsl.text import normalise

pytest.importorskip("ahocorasick_rs")

FIELDS = ("last_user", "ocr")
# Few letters, so that words meet texts; scripts with and without spaces, marks, an emoji and a 4-byte ideograph.
LETTERS = "ab0 退款é\u0301_ßก-\U0001f600\U00020000."
EXPRESSIONS = ("a.b", "退.{0,2}款", r"\d+a", "^a", "b$", "[^a]b", r"\bab", "(?:a|款)0", r"\p{Han}{2}", "a+ b", r"\W退")


def border(char):
    """A character that goes on with a word beside it, told by name rather than by table."""
    if not char or not (char.isalnum() or char == "_" or unicodedata.category(char)[0] == "M"):
        return False
    return not re.search("CJK|IDEOGRAPH|THAI|HIRAGANA|KATAKANA", unicodedata.name(char, ""))


def holds_word(word, text, matching):
    if matching == "substring":
        return word in text
    starts = [i for i in range(len(text)) if text[i : i + len(word)] == word]
    return any(
        not (border(text[i - 1 : i] if i else "") and border(word[0]))
        and not (border(word[-1]) and border(text[i + len(word) : i + len(word) + 1]))
        for i in starts
    )


def holds(atom, row, matching):
    value = row[atom.field]
    if isinstance(atom, Comparison):
        if value is None or math.isnan(value):
            return False
        return {
            "<": value < atom.value,
            "<=": value <= atom.value,
            ">": value > atom.value,
            ">=": value >= atom.value,
            "==": value == atom.value,
        }[atom.op]
    text = value or ""
    if isinstance(atom, Expression):
        return (re2.search(atom.pattern, text) is not None) != atom.negative
    found = [holds_word(word, text, matching.get(atom.field, "substring")) for word in atom.words]
    return {"any_of": any(found), "all_of": all(found), "none_of": not any(found)}[atom.op]


def naive(rules, rows):
    return [{r.rule_id for r in rules.active() if all(holds(a, row, rules.matching) for a in r.atoms)} for row in rows]


def allowed(pattern):
    try:
        return bool(Expression("ocr", pattern))
    except RuleError:  # holds on an empty text, or repeats a repeat without end
        return False


# A small grammar: characters, classes, repeats, groups and alternatives, at times anchored.
piece = st.one_of(
    st.sampled_from("ab0退款é-"), st.sampled_from((".", r"\d", r"\w", r"\s", r"\b", "[a0]", "[^b退]", "[a-c款]"))
)
repeated = st.builds(
    str.__add__, piece.filter(lambda p: p != r"\b"), st.sampled_from(("", "?", "+", "*", "{2}", "{0,2}"))
)
grown = st.recursive(
    st.one_of(piece, repeated),
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=3).map("".join),
        st.lists(inner, min_size=1, max_size=3).map(lambda some: f"({'|'.join(some)})"),
        inner.map(lambda one: f"(?:{one}){{1,2}}"),
    ),
    max_leaves=5,
)
expressions = st.builds(
    lambda start, body, end: start + body + end, st.sampled_from(("", "", "^")), grown, st.sampled_from(("", "", "$"))
).filter(allowed)


word = st.text(LETTERS, min_size=1, max_size=3).filter(lambda w: normalise(w) == w)
field = st.sampled_from(FIELDS)
atoms = st.one_of(
    st.builds(
        Words,
        field,
        st.sampled_from(("any_of", "all_of", "none_of")),
        st.lists(word, min_size=1, max_size=4).map(tuple),
    ),
    st.builds(Expression, field, st.one_of(st.sampled_from(EXPRESSIONS), expressions), st.booleans()),
    st.builds(
        Comparison, st.just("n_images"), st.sampled_from(("<", "<=", ">", ">=", "==")), st.sampled_from((0, 1, 2))
    ),
)


@st.composite
def rule_sets(draw):
    rules = {}
    for some in draw(st.lists(st.lists(atoms, min_size=1, max_size=4), min_size=0, max_size=12)):
        try:
            rule = Rule(
                "intent",
                draw(st.sampled_from("xy")),
                tuple(some),
                draw(st.sampled_from(("learned", "banned", "pinned"))),
            )
        except RuleError:
            continue  # a contradiction
        rules[rule.rule_id] = rule
    matching = {name: draw(st.sampled_from(("substring", "words"))) for name in FIELDS}
    return RuleSet("t", tuple(rules.values()), matching)


texts = st.one_of(
    st.none(), st.just(""), st.text(LETTERS, max_size=12).map(normalise), st.text(max_size=8).map(normalise)
)
rows = st.lists(
    st.fixed_dictionaries(
        {"last_user": texts, "ocr": texts, "n_images": st.sampled_from((None, math.nan, 0.0, 1.0, 2.0))}
    ),
    max_size=30,
)


def columns_of(some):
    return {name: [row[name] for row in some] for name in (*FIELDS, "n_images")}


@settings(max_examples=300, deadline=None)
@given(rule_sets(), rows, st.integers(1, 31), st.booleans())
def test_engine_equals_a_naive_evaluator(rules, some, batch, arrow):
    engine = Engine(rules)
    expected = naive(rules, some)
    found = []
    for start in range(0, len(some), batch):
        columns = columns_of(some[start : start + batch])
        if arrow:
            columns = {
                name: pa.array(column, pa.float64() if name == "n_images" else pa.string())
                for name, column in columns.items()
            }
        fired = engine.evaluate(columns)
        assert len(fired) == len(some[start : start + batch])
        found += [set(fired.of(row)) for row in range(len(fired))]
    assert found == expected


@settings(max_examples=60, deadline=None)
@given(rule_sets(), rows)
def test_a_machine_without_hyperscan_finds_the_same(rules, some):
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "hyperscan", None)  # importing it fails
        fired = Engine(rules).evaluate(columns_of(some))
    assert [set(fired.of(row)) for row in range(len(fired))] == naive(rules, some)


@settings(max_examples=60, deadline=None)
@given(rule_sets(), rows)
def test_matches_are_told_with_their_place(rules, some):
    engine = Engine(rules)
    columns = columns_of(some)
    fired = engine.evaluate(columns)
    by_id = {rule.rule_id: rule for rule in rules.rules}
    for row, found in enumerate(engine.explain(columns, fired)):
        assert {match.rule_id for match in found} <= set(fired.of(row))
        for match in found:
            text = columns[match.field][row]
            span = text[match.start : match.end]
            # An edge is not seen in the span alone.
            edged = any(edge in match.what for edge in ("^", "$", r"\b"))
            assert span == match.what or edged or re2.search(match.what, span) is not None
        for rule_id in fired.of(row):
            asked = [a for a in by_id[rule_id].atoms if not isinstance(a, Comparison) and not a.negative]
            assert {a.field for a in asked} <= {m.field for m in found if m.rule_id == rule_id}


def small():
    rules = (
        Rule("intent", "x", (Words("last_user", "any_of", ("refund",)),)),
        Rule("intent", "y", (Words("last_user", "none_of", ("refund",)), Comparison("n_images", ">=", 1))),
        Rule("scene", "z", (Expression("ocr", r"no\. \d+"),)),
    )
    return RuleSet("t", rules, {"last_user": "words", "ocr": "words"})


def test_rules_of_one_task_alone():
    engine = Engine(small(), "intent")
    fired = engine.evaluate({"last_user": ["a refund", "refunds", None], "n_images": [0.0, 1.0, None]})
    x, y, _ = (rule.rule_id for rule in small().rules)
    assert [fired.of(i) for i in range(3)] == [(x,), (y,), ()]
    assert fired.to_arrow().to_pylist() == [[x], [y], []]
    assert fired.counts().tolist() == [1, 1]


def test_an_engine_travels_as_text():
    engine = Engine(small(), "intent")
    sent = pickle.dumps(engine)
    assert b"ahocorasick" not in sent
    assert b"hyperscan" not in sent
    assert b"refund" in sent
    columns = {"last_user": ["a refund"], "n_images": [1.0]}
    assert pickle.loads(sent).evaluate(columns).of(0) == engine.evaluate(columns).of(0)


def test_no_match_crosses_from_row_to_row_or_chunk_to_chunk(monkeypatch):
    rules = RuleSet("t", (Rule("i", "x", (Words("last_user", "any_of", ("ab", "退款")),)),))
    texts = ["a", "b", "ab", "退", "款", "", "退款"] * 50
    expected = ["ab" in t or "退款" in t for t in texts]
    monkeypatch.setattr(engine_module, "CHUNK_ROWS", 24)
    monkeypatch.setattr("kdsl.rules.scan.MAX_BYTES", 10)
    fired = Engine(rules).evaluate({"last_user": texts})
    assert [bool(fired.of(i)) for i in range(len(texts))] == expected


def test_slices_chunks_and_large_strings_are_one():
    rules = RuleSet("t", (Rule("i", "x", (Words("last_user", "any_of", ("ab",)),)),))
    texts = ["zz", "ab", None, "cab", "退ab"]
    whole = Engine(rules).evaluate({"last_user": texts})
    for array in (
        pa.array(["ab", *texts, "ab"]).slice(1, 5),
        pa.chunked_array([texts[:2], texts[2:]]),
        pa.array(texts, pa.large_string()),
        pa.array(texts).dictionary_encode().cast(pa.string()),
    ):
        fired = Engine(rules).evaluate({"last_user": array})
        assert np.array_equal(fired.indptr, whole.indptr)


def test_half_a_surrogate_pair_is_no_match_and_no_fault():
    rules = RuleSet("t", (Rule("i", "x", (Words("last_user", "any_of", ("ab",)),)),))
    fired = Engine(rules).evaluate({"last_user": ["\ud800ab", "\udfff", "a\ud83db"]})
    assert [len(fired.of(i)) for i in range(3)] == [1, 0, 0]


def test_wrong_columns_are_named():
    with pytest.raises(RuleError, match="columns n_images, which the batch lacks"):
        Engine(small(), "intent").evaluate({"last_user": []})
    with pytest.raises(RuleError, match="differ in length"):
        Engine(small(), "intent").evaluate({"last_user": ["a"], "n_images": [1.0, 2.0]})


def test_no_rules_fire_nowhere():
    fired = Engine(RuleSet("t")).evaluate({"last_user": ["a", "b"]})
    assert len(fired) == 2
    assert fired.to_arrow().to_pylist() == [[], []]
    assert len(Engine(small()).evaluate({"last_user": [], "ocr": [], "n_images": []})) == 0
