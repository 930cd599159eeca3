"""Bad rule files: each fault named with rule, line and remedy, all of a file in one error."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdsl.rules import parse, source
from kdsl.rules.errors import RuleError
from kdsl.rules.ruleset import MAX_RULES, RuleSet
from kdsl.taxonomy import Label, Task, Taxonomy

SHOP = Taxonomy(
    name="shop",
    tasks=(
        Task(
            name="intent", asked_of="conversation", question="?", labels=(Label(name="refund"), Label(name="tracking"))
        ),
        Task(name="scene", asked_of="image", question="?", labels=(Label(name="order page"), Label(name="photo"))),
    ),
)
GOOD = "- {task: intent, label: refund, if: [{last_user: {any_of: [refund]}}]}"


def file_of(*rules, head="taxonomy: shop"):
    return head + "\nrules:\n" + "\n".join(rules) + "\n"


def refused(text):
    with pytest.raises(RuleError) as error:
        parse.from_yaml(text, SHOP, "r.yaml")
    return str(error.value)


def one(body):
    return refused(file_of(GOOD, body))


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("- {task: intent, label: refund, if: [{lastuser: {any_of: [a]}}]}", ["did you mean last_user?"]),
        ("- {task: intent, label: refnd, if: [{user: {any_of: [a]}}]}", ["'refnd'", "nearest: refund"]),
        ("- {task: intents, label: refund, if: [{user: {any_of: [a]}}]}", ["its tasks: intent, scene"]),
        ("- {task: intent, label: refund, if: [{user: {anyof: [a]}}]}", ["did you mean any_of?"]),
        ("- {task: intent, label: refund, if: [{user: {any_of: []}}]}", ["names no word", "write at least one"]),
        ("- {task: intent, label: refund, if: [{user: {any_of: ['  ']}}]}", ["empty once normalised"]),
        ("- {task: intent, label: refund, if: [{user: {}}]}", ["no operator"]),
        ("- {task: intent, label: refund, if: []}", ["no condition"]),
        ("- {task: intent, label: refund}", ["no condition"]),
        ("- {task: intent, label: refund, if: [{user: {any_of: refund}}]}", ["takes a list of words"]),
        (
            "- {task: intent, label: refund, if: [{user: {any_of: [" + "x" * 1_000_000 + "]}}]}",
            ["1,000,000 characters", "shorten"],
        ),
        ("- {task: intent, label: refund, if: [{user: {matches: '(?=a)b'}}]}", ["look-ahead"]),
        ("- {task: intent, label: refund, if: [{user: {matches: '(a'}}]}", ["RE2 refuses", "missing"]),
        ("- {task: intent, label: refund, if: [{n_images: {'>': many}}]}", ["takes a number"]),
        ("- {task: intent, label: refund, if: [{n_images: {'>': .nan}}]}", ["takes a number"]),
        ("- {task: intent, label: refund, if: [{n_images: {any_of: [1]}}]}", ["operator"]),
        ("- {task: intent, label: refund, if: [{user: {any_of: [a], none_of: [a]}}]}", ["can never fire"]),
        (
            "- {task: intent, label: refund, if: [{last_user: {any_of: [REFUND, refund]}}]}",
            ["same as rule 1 on line 3"],
        ),
        ("- {task: intent, label: refund, if: [{user: {any_of: [a], any_of: [b]}}]}", ["stands twice"]),
        ("- {task: intent, label: refund, wen: 1, if: [{user: {any_of: [a]}}]}", ["'wen' is no key"]),
        ("- {task: intent, label: refund, state: lost, if: [{user: {any_of: [a]}}]}", ["allowed: learned"]),
        ("- {task: intent, label: refund, evidence: {fired: -1}, if: [{user: {any_of: [a]}}]}", ["whole number"]),
        ("- {task: intent, label: refund, evidence: {fired: 1, right: 2}, if: [{user: {any_of: [a]}}]}", ["more than"]),
        ("- just text", ["is no mapping"]),
    ],
)
def test_one_fault(body, says):
    message = one(body)
    assert message.startswith("r.yaml cannot be used:\n  line 4, rule 2: ")
    for part in says:
        assert part in message
    assert len(message) < 600


def test_all_faults_in_one_error():
    message = refused(
        file_of(
            "- id: r1\n  task: intent\n  label: refnd\n  if:\n  - user: {any_of: [ok]}\n  - agnt: {any_of: [a]}",
            GOOD,
            "- {task: scene, label: photo, if: [{ocr: {matches: '[a'}}]}",
        )
    )
    assert "line 3, rule 1 (r1): label 'refnd'" in message
    assert "line 8, rule 1 (r1): 'agnt'" in message
    assert "line 10, rule 3: '[' is not closed" in message


def test_many_faults_are_counted_not_listed():
    message = refused(file_of(*["- {task: intent, label: x, if: [{user: {any_of: [a]}}]}"] * 80))
    assert "and 30 faults more" in message


def test_rules_for_another_taxonomy():
    assert "taxonomy 'other', not 'shop'" in refused(file_of(GOOD, head="taxonomy: other"))


def test_a_million_rules(tmp_path):
    small = json.dumps({"taxonomy": "shop", "rules": [{}] * 1_000_000})
    path = tmp_path / "many.json"
    path.write_text(small)
    with pytest.raises(RuleError, match=f"1,000,000 rules; at most {MAX_RULES:,}"):
        parse.load(path, SHOP)
    path = tmp_path / "many.yaml"
    path.write_text(file_of(*[GOOD] * 1_000_000))
    with pytest.raises(RuleError, match="larger than 32,000,000 bytes"):
        parse.load(path, SHOP)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("taxonomy: &a shop\nrules: [*a]", "anchors"),
        ("taxonomy: !!python/object/apply:os.system [true]", "tag"),
        ("taxonomy: [", "no YAML"),
        ("- 1", "no mapping"),
        ("taxonomy: shop\nrules: 5", "must be a list"),
        ("rules: []", "taxonomy is missing"),
        ("taxonomy: shop\nmatching: {ocr: letters}", "substring, words"),
        ("taxonomy: shop\nmatching: {orc: words}", "did you mean ocr?"),
        ("taxonomy: shop\nformat: 2", "this version reads 1"),
        ("taxonomy: shop\n---\ntaxonomy: shop", "two documents"),
        ("taxonomy: " + "[" * 50 + "]" * 50, "nests deeper"),
        ("taxonomy: shop\x00", "no YAML"),
    ],
)
def test_bad_files(text, says):
    assert says in refused(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"taxonomy": "shop",\n\t"rules": [\n{"task": "intent", "label": "refnd",\n"if": []}]}',
         "line 3, rule 1: label 'refnd'"),
        ('{"taxonomy":"shop","rules":[{"task":"intent","label":"refund","label":"size",\n"if":[]}]}',
         "line 1, rule 1: 'label' stands twice"),
        ('{"taxonomy": "shop", "taxonomy": "other"}', "'taxonomy' stands twice"),
        ('{"taxonomy": "shop", "rules": [],}', "no JSON"),
        ('{"taxonomy": "shop" "rules": []}', "no JSON"),
        ('{"taxonomy": "shop"} 1', "no JSON"),
        ("{taxonomy: shop}", "no JSON"),
        ('{"taxonomy": "shop"', "no JSON"),
    ],
)  # fmt: skip
def test_json_is_told_with_its_line_and_a_key_that_stands_twice(text, says):
    """The last of two equal keys used to win in silence, and no fault of a JSON file had a line."""
    with pytest.raises(RuleError) as error:
        parse.from_json(text, SHOP, "r.json")
    assert says in str(error.value)


@given(
    st.recursive(
        st.one_of(st.text(max_size=5), st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False)),
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
        max_leaves=12,
    ),
    st.sampled_from((None, 1, "\t")),
    st.booleans(),
)
def test_json_is_read_as_the_standard_library_reads_it(data, indent, ascii):
    def plain(node):
        if isinstance(node.value, dict):
            return {key: plain(value) for key, value in node.value.items()}
        if isinstance(node.value, list):
            return [plain(one) for one in node.value]
        return json.loads(node.value or "null") if node.plain else node.value

    text = json.dumps(data, indent=indent, ensure_ascii=ascii)
    assert plain(source.from_json(text, "x")) == json.loads(text)
    assert source.from_json(f"\n [{text}]", "x").line == 2


def test_bad_paths_and_bytes(tmp_path):
    with pytest.raises(RuleError, match="is no file"):
        parse.load(tmp_path / "none.yaml")
    (tmp_path / "x.yaml").write_bytes(b"taxonomy: \xff")
    with pytest.raises(RuleError, match="not UTF-8"):
        parse.load(tmp_path / "x.yaml")
    (tmp_path / "x.json").write_text("[" * 100_000)
    with pytest.raises(RuleError, match="no JSON"):
        parse.load(tmp_path / "x.json")


def test_a_set_refuses_the_same_rule_twice():
    rule = parse.from_yaml(file_of(GOOD)).rules[0]
    with pytest.raises(RuleError, match=f"{rule.rule_id} stands 2 times"):
        RuleSet("shop", (rule, rule))
