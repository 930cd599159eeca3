"""The search: finds planted rules, in any order of labels, within its budget, and stops when told."""

import dataclasses
import json
import random

import numpy as np
import pytest

from kdsl.rules import tree as tree_module
from kdsl.rules.atom import Comparison, Expression, Words
from kdsl.rules.examples import Examples, folds_of, mask_of, of_columns, rows_of
from kdsl.rules.learn import learn
from kdsl.rules.partial import Partial, judged_rows, pool_of
from kdsl.rules.problem import Problem
from kdsl.rules.propose import Proposal
from kdsl.rules.propose_llm import FromModel, read_answer
from kdsl.rules.propose_statistics import Statistics
from kdsl.rules.propose_taxonomy import FromTaxonomy
from kdsl.rules.provenance import wilson_low
from kdsl.rules.record import Candidate
from kdsl.rules.reward import WORD_COST, Reward, Z
from kdsl.rules.rule import Rule
from kdsl.rules.ruleset import RuleSet
from kdsl.rules.search import search_label
from kdsl.rules.select import select, votes_of
from kdsl.rules.terms import term_masks, terms_of
from kdsl.rules.tree import Tree
from kdsl.taxonomy import Label, Task

FILLER = [
    "please",
    "help",
    "me",
    "with",
    "this",
    "thing",
    "today",
    "thanks",
    "really",
    "want",
    "know",
    "about",
    "your",
    "shop",
    "it",
    "is",
    "so",
    "and",
    "now",
]
PLANTED = {"refund": ("money", "back"), "tracking": ("parcel", "where"), "coupon": ("discount", "code")}
TASK = Task(
    name="intent",
    asked_of="conversation",
    question="?",
    labels=tuple(Label(name=n, description=f"{' '.join(w)} wanted", aliases=(w[0],)) for n, w in PLANTED.items()),
)


def planted(n=90, seed=1, noise=0.1) -> Examples:
    """Each label says both of its words, or one of them and now and then another label's."""
    rng = random.Random(seed)
    texts, gold = [], []
    for i in range(n):
        label = list(PLANTED)[i % 3]
        words = [*rng.sample(FILLER, 6), rng.choice(PLANTED[label])]
        if rng.random() < noise:
            words.append(rng.choice(PLANTED[rng.choice(list(PLANTED))]))
        rng.shuffle(words)
        texts.append(" ".join(words))
        gold.append(label)
    ids = [f"c{i:03}" for i in range(n)]
    return of_columns(ids, gold, ids, {"last_user": texts}, {"n_images": np.arange(n, dtype=float)})


def learned(examples, **more):
    given = {"taxonomy": "shop", "seed": 3, "budget": 80, "folds": 3} | more
    return learn("intent", list(PLANTED), examples, [Statistics(), FromTaxonomy(TASK)], **given)


def test_masks_equal_rules():
    examples = planted()
    words = Words("last_user", "all_of", ("money", "help"))
    expected = [i for i, t in enumerate(examples.texts["last_user"]) if {"money", "help"} <= set(t.split())]
    assert rows_of(examples.mask(words)) == expected
    assert rows_of(examples.mask(Comparison("n_images", "<", 3))) == [0, 1, 2]
    assert examples.mask(Expression("last_user", "mon.y")) == examples.mask(Words("last_user", "any_of", ("money",)))


@pytest.mark.parametrize(
    ("text", "matching"), [("where's my foo_bar? a-b c", "words"), ("我要退款abc，不是 é\u0301 退货", "substring")]
)
def test_terms_stand_where_the_language_says(text, matching):
    column = [text, "zzz", text[::-1]]
    examples = dataclasses.replace(of_columns("abc", "xyz", "abc", {"user": column}), matching={"user": matching})
    for term, mask in term_masks(examples, "user", least=1).items():
        again = dataclasses.replace(examples, _words={}, _masks={})
        assert again.word_mask("user", term) == mask, term
    assert ("foo_bar" if matching == "words" else "退款ab") in terms_of(text, matching)


def test_a_row_that_a_word_grew_on_does_not_judge_it():
    examples = of_columns("abcd", "xxyy", ["g", "h", "i", "j"], {"user": ["one", "two", "one", "two"]})
    one = examples.word_mask("user", "one")
    assert judged_rows(examples, one, examples.where("x")) == mask_of([2])  # row 0 is the only witness
    both = of_columns("abcd", "xxyy", ["g", "h", "i", "j"], {"user": ["one", "one", "one", ""]})
    assert judged_rows(both, both.word_mask("user", "one"), both.where("x")) == mask_of([0, 1, 2])
    twins = dataclasses.replace(both, groups=("g", "g", "i", "j"))  # near-duplicates witness once
    assert judged_rows(twins, twins.word_mask("user", "one"), twins.where("x")) == mask_of([2])


def test_every_right_row_that_a_learned_word_is_judged_by_is_one_without_which_it_is_still_named():
    n, dice = 40, random.Random(3)
    texts = [
        " ".join(["lone", str(i), *(dice.choice("abcdefgh") * 3 for _ in range(3)), "xx" * (i % 4 == 0)])
        for i in range(n)
    ]
    groups = [f"g{i // 3}" for i in range(n)]
    examples = of_columns([str(i) for i in range(n)], ["x", "y"] * (n // 2), groups, {"user": texts})
    pool = pool_of(Statistics().propose("x", examples, examples.all_rows), "x", examples, examples.all_rows)
    positives = examples.where("x")
    judging = [
        (at, row)
        for at, one in enumerate(pool.conditions)
        for row in rows_of(one.judged & positives)
        if not one.against
    ]
    for at, row in judging:
        own = mask_of(other for other in range(n) if groups[other] == groups[row])
        assert examples.mask(pool.conditions[at].atom) & positives & ~own, pool.conditions[at].atom
    assert len({at for at, _ in judging}) >= 5


def test_reward_is_bound_times_open_coverage_less_length():
    reward = Reward(positives=0b1111, open_=0b0011)
    score = reward(0b10001, 2)
    assert (score.fired, score.right, score.fresh) == (2, 1, 1)
    assert score.reward == pytest.approx(wilson_low(1, 2, Z) * 0.5 - 2 * WORD_COST)


def pool_for(label="refund"):
    examples = planted()
    return examples, pool_of(
        Statistics().propose(label, examples, examples.all_rows), label, examples, examples.all_rows
    )


def test_the_tree_shares_states_and_counts_its_iterations():
    examples, pool = pool_for()
    positives = examples.where("refund")
    tree = Tree(pool, Reward(positives, positives), seed=1)
    tree.run(200)
    assert tree.iterations == tree.root.visits == 200
    assert len(tree.nodes) == len({node.state for node in tree.nodes.values()})
    reached = {}
    for node in tree.nodes.values():
        for edge in node.edges:
            assert tree.nodes[edge.child.state] is edge.child
            reached[edge.child.state] = reached.get(edge.child.state, 0) + 1
    assert max(reached.values()) > 1  # two ways to one rule meet in one state
    for node in tree.nodes.values():
        groups = tuple(sorted(tuple(sorted(g)) for g in node.state.groups))
        assert node.state.groups == groups


def test_more_visits_open_more_actions():
    examples, pool = pool_for()
    tree = Tree(pool, Reward(examples.where("refund"), examples.where("refund")), seed=1)
    tree.run(10)
    few = len(tree.root.edges)
    tree.run(400)
    assert few < len(tree.root.edges)
    assert len(tree.root.edges) <= tree_module.WIDEN_FACTOR * tree.root.visits**tree_module.WIDEN_POWER + 1


def test_all_kinds_of_action_are_taken():
    examples = planted(noise=0.5)
    found = search_label("intent", "refund", examples, examples.all_rows, [Statistics()], budget=600, seed=1)
    actions = {node.action for tree in found.trees for node in tree.nodes.values()}
    assert actions == {"start", "add", "widen", "negate", "drop"}


def test_the_planted_words_are_found_and_the_filler_is_not():
    result = learned(planted())
    for label, words in PLANTED.items():
        said = {w for r in result.rules.rules if r.label == label for a in r.atoms if not a.negative for w in a.words}
        assert said & set(words)
        assert not said & set(FILLER)
    unseen = [r.evidence for r in result.rules.rules]
    assert sum(e.unseen_right for e in unseen) / sum(e.unseen_fired for e in unseen) > 0.8
    assert all(r.evidence.examples and set(r.evidence.examples) <= set(planted().ids) for r in result.rules.rules)


def test_labels_without_words_of_their_own_get_no_rules():
    examples = planted()
    rng = random.Random(5)
    shuffled = [rng.choice(list(PLANTED)) for _ in examples.labels]
    result = learned(dataclasses.replace(examples, labels=tuple(shuffled), _masks={}, _words={}))
    assert len(result.rules) <= 3


def test_same_seed_same_rules_in_any_order_of_work():
    examples = planted(60)
    one = learned(examples)

    def backwards(run, jobs):
        done = {job: run(job) for job in reversed(jobs)}
        return [done[job] for job in jobs]

    two = learned(planted(60), mapper=backwards)
    assert one.rules.to_dict() == two.rules.to_dict()
    assert one.weights == two.weights
    assert json.dumps(one.record.to_dict()) == json.dumps(two.record.to_dict())


def test_a_larger_budget_finds_at_least_as_good_a_rule():
    examples = planted(noise=0.4)

    def best(budget):
        found = search_label("intent", "refund", examples, examples.all_rows, [Statistics()], budget=budget, seed=1)
        return max(one.reward for one in found.candidates)

    assert best(4) <= best(40) <= best(400)


def test_an_interrupt_keeps_the_best_so_far(monkeypatch):
    examples = planted()
    whole = search_label("intent", "refund", examples, examples.all_rows, [Statistics()], budget=200, seed=1)
    iterate = Tree._iterate

    def stop_at_30(self):
        if self.iterations == 30:
            raise KeyboardInterrupt
        iterate(self)

    monkeypatch.setattr(Tree, "_iterate", stop_at_30)
    part = search_label("intent", "refund", examples, examples.all_rows, [Statistics()], budget=200, seed=1)
    assert part.interrupted
    assert part.candidates
    assert not whole.interrupted
    result = learned(examples)
    assert result.record.interrupted


def test_the_record_tells_lineage():
    result = learned(planted())
    record = result.record
    known = {one.rule.rule_id for one in record.candidates}
    assert set(record.selected) <= known
    assert set(record.votes) == set(record.selected)
    for one in record.candidates:
        assert 0 <= one.budget <= record.budget
        assert one.judged.bit_count() >= one.right
        assert one.parent == "" or one.action != "start"
        assert one.proposers
    with pytest.raises(dataclasses.FrozenInstanceError):
        record.seed = 1
    assert "help" not in json.dumps(result.record.to_dict()["votes"])


def test_a_learned_rule_names_its_run_and_counts_what_its_search_could_see():
    examples = planted()
    result = learned(examples)
    fold_of = dict(result.record.rows)
    labels = dict(zip(examples.ids, examples.labels, strict=True))
    assert {rule.provenance.run for rule in result.rules.rules} == {result.record.run}
    assert result.record.run != learned(examples, seed=4).record.run
    narrow = 0
    for rule in result.rules.rules:
        out = {one.fold for one in result.record.candidates if one.rule == rule}
        fired = [examples.ids[row] for row in rows_of(examples.rule_mask(rule.atoms))]
        seen = [one for one in fired if len(out) > 1 or fold_of[one] not in out]
        narrow += len(seen) < len(fired)
        assert (rule.evidence.fired, rule.evidence.right) == (len(seen), sum(labels[i] == rule.label for i in seen))
    assert narrow  # else every count would do


def test_searches_see_their_rows_alone():
    examples = planted()
    masks = folds_of(examples, 3, 3)
    rows = examples.all_rows & ~masks[0]
    hidden = {i for i in range(len(examples)) if masks[0] >> i & 1}
    texts = tuple("secret" if i in hidden else t for i, t in enumerate(examples.texts["last_user"]))
    blind = of_columns(examples.ids, examples.labels, examples.groups, {"last_user": texts}, examples.numbers)

    def search(given):
        return search_label("intent", "refund", given, rows, [Statistics(), FromTaxonomy(TASK)], budget=60, seed=1)

    assert [c.rule for c in search(examples).candidates] == [c.rule for c in search(blind).candidates]


def test_what_people_did_stays_and_bans_are_of_meaning():
    examples = planted()
    first = learned(examples)
    victim = first.rules.active()[0]
    pinned = Rule("intent", "coupon", (Words("last_user", "any_of", ("thanks",)),), "pinned")
    again = learned(examples, by_hand=RuleSet("shop", (victim.with_state("banned"), pinned)))
    assert again.rules.get(victim.rule_id).state == "banned"
    assert victim.rule_id not in again.weights
    kept = again.rules.get(pinned.rule_id)
    assert kept.state == "pinned"
    assert kept.evidence.unseen_fired == examples.mask(pinned.atoms[0]).bit_count()


def test_a_learned_rule_that_is_right_on_no_held_out_row_is_dropped():
    """Rows of the search that a word did not grow on were enough; "thanks" is right on ten of those and on no other."""
    rows = 40
    label = ["x" if row % 2 else "y" for row in range(rows)]
    text = ["thanks" if row < 20 and row % 2 else "good" if row % 2 else "other" for row in range(rows)]
    ids = [f"c{row:02}" for row in range(rows)]
    examples = of_columns(ids, label, ids, {"user": text})
    masks = [mask_of(range(20)), mask_of(range(20, rows))]

    def met(word, fold):
        rule = Rule("t", "x", (Words("user", "any_of", (word,)),), "learned")
        judged = examples.mask(rule.atoms[0]) & ~masks[fold]
        return Candidate(rule, "", "add", ("statistics",), judged, judged.bit_count(), 1.0, 1, fold)

    problem = Problem(examples, ("x", "y"), (), masks)
    found = [met("thanks", 1), met("good", 0)]  # each was held out where it does not stand
    pool, chosen = problem.choose([*found, met("good", 1)], examples.all_rows)
    assert [pool[i].atoms[0].words for i in chosen.kept] == [("good",)]
    pinned = Problem(examples, ("x", "y"), (found[0].rule.with_state("pinned"),), masks)
    pool, chosen = pinned.choose(found, examples.all_rows)
    assert [pool[i].atoms[0].words for i in chosen.kept] == [("thanks",)]


def test_selection_takes_what_helps_and_drops_the_idle():
    def word(label, text):
        return Rule("t", label, (Words("user", "any_of", (text,)),))

    gold = ["x"] * 20 + ["y"] * 20
    rules = [word("x", "good"), word("x", "double"), word("y", "noise"), word("y", "right")]
    fired = [range(20), range(19), range(10, 30), range(20, 40)]
    chosen = select(votes_of(rules, [list(f) for f in fired], gold, ["x", "y"]))
    assert chosen.kept == (0, 3)
    assert all(weight > 0.5 for weight in chosen.weights)
    forced = select(votes_of(rules, [list(f) for f in fired], gold, ["x", "y"]), forced=[2])
    assert 2 in forced.kept
    assert select(votes_of([], [], gold, ["x", "y"])).kept == ()


def test_an_answer_is_hostile_until_checked():
    answer = "\n".join(
        [
            "- refund",
            '2. "money back"',
            "/refund.{0,5}late/",
            "/(a+)+$/",
            "/(?=x)y/",
            "/" + "(" * 200 + "a" + ")" * 200 + "/",
            "x" * 5_000,
            "\x00\x1b[31mred",
            "___import__('os')" * 3,
            "   ",
            "!!!",
        ]
    )
    assert read_answer(answer, "user") == [
        Words("user", "any_of", ("refund",)),
        Words("user", "any_of", ("money back",)),
        Expression("user", "refund.{0,5}late"),
    ]
    assert read_answer(None, "user") == []
    assert read_answer("word\n" * 1_000_000, "user") == [Words("user", "any_of", ("word",))]
    assert len(read_answer("\n".join(f"w{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(200)), "user")) <= 40


def test_no_expression_is_compiled_before_it_is_bounded(monkeypatch):
    seen = []
    from kdsl.rules import expression

    real = expression.compiled
    monkeypatch.setattr(expression, "compiled", lambda pattern: seen.append(pattern) or real(pattern))
    read_answer("/" + "a" * 290 + "{1000}{1000}/\n/" + "b{9}" * 90 + "/", "user")
    assert all(len(pattern) <= expression.MAX_CHARS for pattern in seen)
    assert not any("1000" in pattern for pattern in seen)


def test_a_scripted_model_proposes():
    examples = planted()
    prompts = []

    def generate(prompt):
        prompts.append(prompt)
        return "- money\n- nowhere to be seen\n- yours thing zzz\n/bac./"

    model = FromModel(TASK, generate, "last_user")
    proposals = model.propose("refund", examples, examples.all_rows)
    assert [p.atoms[0] for p in proposals] == [
        Words("last_user", "any_of", ("money",)),
        Words("last_user", "any_of", ("thing",)),  # a part of what stands nowhere as it was said
        Expression("last_user", "bac."),
    ]
    assert all(isinstance(p, Proposal) and p.proposer == "llm" for p in proposals)
    model.propose("refund", examples, examples.all_rows)
    assert len(prompts) == 1  # asked once
    assert "Label: refund" in prompts[0]
    assert "Meaning: money back wanted" in prompts[0]
    assert len(prompts[0]) < 4_000
    found = search_label("intent", "refund", examples, examples.all_rows, [model], budget=50, seed=1)
    assert any(isinstance(a, Expression) for one in found.candidates for a in one.rule.atoms)


def test_partial_rules_become_atoms():
    examples, pool = pool_for()
    number = {c.atom: i for i, c in enumerate(pool.conditions) if not c.against}
    money, back = (number[Words("last_user", "any_of", (w,))] for w in ("money", "back"))
    state = Partial((tuple(sorted((money, back))),))
    assert pool.atoms(state) == (Words("last_user", "any_of", ("back", "money")),)
    assert pool.fired(state) == examples.mask(Words("last_user", "any_of", ("back", "money")))
