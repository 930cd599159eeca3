"""Which code each label answers to where no list in the prompt says it: one that its examples bring to mind already.

Codes in the tokenizer's order would give a label the code of something else that the model has learned, and training
would have to undo that first. A verbalizer is searched for by likelihood ratio, as Schick, Schmid and Schütze (2020,
"Automatically identifying words that can serve as labels for few-shot text classification") do; that each code goes
to one label, by an optimal assignment (`scipy.optimize.linear_sum_assignment`), is ours.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kdsl.models.codes import whole
from kdsl.models.lessons import Course
from kdsl.models.mllm import Scorer

CANDIDATES = 256  # codes that are looked at


def choose(scorer: Scorer, course: Course) -> None:
    """Choose the codes of a task by the examples that are learned from, and keep them in the scorer.

    Codes that are there stay, and so do the first ones where the tokenizer keeps fewer whole than there are labels.
    """
    if course.task.name in scorer.verbalizers:
        return
    n = len(course.task.labels)
    candidates = whole(scorer.loaded.tokenizer, max(CANDIDATES, n))
    if len(candidates) < n:
        return
    items = [item for own in course.by_label.values() for item in own]
    gold = [label for label, own in course.by_label.items() for _ in own]
    said = scorer.score_codes(candidates, items, course.pictures).log_probs
    scorer.verbalizers[course.task.name] = tuple(candidates[at] for at in assigned(said, gold, n))


def assigned(log_probs: NDArray[np.float64], gold: Sequence[int], n: int) -> list[int]:
    """The place of each label's code: the sum of what codes gain by their labels' examples is the largest there is.

    A code's gain is its mean log-probability over the label's examples, less that over all labels alike; a label
    without examples gains nothing by any and gets one that is left.

    Args:
        log_probs: of the codes behind each example, (examples, codes); no fewer codes than labels.
        gold: the place of each example's label.
        n: labels.
    """
    from scipy.optimize import linear_sum_assignment

    known = sorted(set(gold))
    means = np.array([log_probs[np.equal(gold, label)].mean(axis=0) for label in known])
    gains = np.zeros((n, log_probs.shape[1]))
    gains[known] = means - means.mean(axis=0)
    return [int(place) for place in linear_sum_assignment(gains, maximize=True)[1]]
