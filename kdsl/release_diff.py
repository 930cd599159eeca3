"""What differs between two releases, in lines for people: scores, what each part adds, weights, rules, settings."""

from collections.abc import Iterator, Mapping

from kdsl.child import rules_of
from kdsl.fusion.fusion import Fusion
from kdsl.manifest import Score
from kdsl.release import Release
from kdsl.rules.ruleset import diff
from kdsl.rules.sentence import sentence


def difference(old: Release, new: Release) -> list[str]:
    """Lines on what `new` has otherwise than `old`; empty where they say the same for the same reasons."""
    tasks = dict.fromkeys((*new.manifest.voters, *old.manifest.voters))
    return [*_settings(old, new), *(line for task in tasks for line in _task(old, new, task))]


def _settings(old: Release, new: Release) -> Iterator[str]:
    if old.taxonomy.digest != new.taxonomy.digest:
        yield f"taxonomy: {old.manifest.taxonomy} ({old.taxonomy.digest[:12]}) -> ({new.taxonomy.digest[:12]})"
    before, after = old.manifest.settings, new.manifest.settings
    for key in sorted({*before, *after}):
        if before.get(key) != after.get(key):
            yield f"setting fit.{key}: {before.get(key)} -> {after.get(key)}"
    for task, ids in new.learned().items():
        known = set(old.learned().get(task, ()))
        if added := len(set(ids) - known):
            yield f"{task}: {added} examples more"
        if gone := len(known - set(ids)):
            yield f"{task}: {gone} examples gone"


def _task(old: Release, new: Release, task: str) -> Iterator[str]:
    if task not in old.manifest.voters:
        yield f"{task}: is new"
        return
    if task not in new.manifest.voters:
        yield f"{task}: is gone"
        return
    for name, score in new.manifest.scores[task].items():
        before = old.manifest.scores[task].get(name)
        if before != score:
            yield f"{task}: held-out weighted F1 of {name} {before or 'none'} -> {score}"
    yield from _missed(task, old.manifest.left_out.get(task, {}), new.manifest.left_out.get(task, {}))
    one, other = old.fusion(task), new.fusion(task)
    yield from _fusion(task, one, other)
    if one.others and other.others:
        yield from _fusion(f"{task}, where large is not asked", one.others, other.others)
    changed = diff(rules_of(old, task), rules_of(new, task))
    for word, rules in (("gone", changed.gone), ("added", changed.added)):
        for rule in rules:
            yield f"{task}: rule {word}: {rule.rule_id} {sentence(rule, new.taxonomy.language)}"
    for was, now in changed.changed:
        yield f"{task}: rule {now.rule_id} was {was.state}, is {now.state}"


def _missed(task: str, old: Mapping[str, Score], new: Mapping[str, Score]) -> Iterator[str]:
    """What the pool loses without a voter, then and now; unknown of voters without a say and in earlier versions."""
    for name in dict.fromkeys((*new, *old)):
        if old.get(name) != new.get(name):
            then, now = (side[name].signed if name in side else "unknown" for side in (old, new))
            yield f"{task}: the pool loses without {name} {then} -> {now}"


def _fusion(task: str, old: Fusion, new: Fusion) -> Iterator[str]:
    if old.who != new.who:
        yield f"{task}: decided by {old.who} -> {new.who}"
    for name in dict.fromkeys((*old.voters, *new.voters)):
        one, other = old.weights.get(name), new.weights.get(name)
        if one is None or other is None or abs(one - other) >= 0.005:
            yield f"{task}: weight of {name} {_number(one)} -> {_number(other)}"
    if old.threshold != new.threshold:
        yield f"{task}: abstains below {_number(old.threshold)} -> {_number(new.threshold)}"
    if _price(old) != _price(new):
        yield f"{task}: large asked where it is worth more than {_price(old)} -> {_price(new)}"
    if (old.override.all_rules, old.override.rules) != (new.override.all_rules, new.override.rules):
        yield f"{task}: rules that may overrule {_overrides(old)} -> {_overrides(new)}"


def _price(fusion: Fusion) -> str:
    return f"{fusion.cascade.price:.4f}, {fusion.cascade.share:.0%} at most" if fusion.cascade else "anything"


def _overrides(fusion: Fusion) -> str:
    return "all" if fusion.override.all_rules else ", ".join(fusion.override.rules) or "none"


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}"
