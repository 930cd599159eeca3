"""Fields and numbers of items."""

import math
from dataclasses import replace

from kdsl.dialogue import Item, Line, Picture, Turn
from kdsl.features import NUMBERS, TEXT_FIELDS, has_anything, numbers, recent_user, text_fields

LINES = (
    Line("Top 1", 0.9, (0.1, 0.02, 0.5, 0.04)),
    Line("Middle", 0.9, (0.1, 0.5, 0.9, 0.6)),
    Line("Bottom", 0.9, (0.1, 0.9, 0.3, 0.92)),
    Line("Small", 0.9, (0.1, 0.95, 0.2, 0.96)),
)
PICTURE = Picture("a" * 64, 500, 1000, LINES)


def dialogue(*said: tuple[str, str]) -> Item:
    return Item("1", "intent", tuple(Turn("user" if who == "u" else "agent", text) for who, text in said))


def test_fields_of_a_dialogue() -> None:
    fields = text_fields(
        dialogue(("u", "Hello"), ("a", "Dear <dxm:highlight>you"), ("u", "REFUND １２"), ("u", "<image>"))
    )
    assert tuple(fields) == TEXT_FIELDS
    assert fields["last_user"] == "refund 00"
    assert fields["user"] == "hello refund 00"
    assert fields["agent"] == "dear you"
    assert fields["ocr"] == ""


def test_comparisons_are_not_markup() -> None:
    assert text_fields(dialogue(("u", "is 3 < 5 or 7 > 6?")))["last_user"] == "is 0 < 0 or 0 > 0?"


def test_recent_words_are_the_last_two_messages_with_words() -> None:
    assert (
        recent_user(dialogue(("u", "one"), ("u", "two"), ("a", "x"), ("u", "<image>"), ("u", "three"))) == "two three"
    )


def test_zones_and_the_largest_lines() -> None:
    fields = text_fields(Item("1", "scene", (), (PICTURE,)))
    assert fields["ocr"] == "top 0 middle bottom small"
    assert (fields["ocr_top"], fields["ocr_middle"], fields["ocr_bottom"]) == ("top 0", "middle", "bottom small")
    assert fields["ocr_large"].startswith("middle")
    assert "small" not in fields["ocr_large"]


def test_numbers_of_a_picture() -> None:
    found = numbers(Item("1", "scene", (), (PICTURE,)))
    assert tuple(found) == NUMBERS
    assert found["n_lines"] == 4
    assert found["aspect"] == 2
    assert found["has_text"] == 1
    assert math.isnan(found["n_turns"])
    assert math.isclose(found["line_height_max"], 0.2)
    assert math.isclose(found["text_top"], 0.02)
    assert math.isclose(found["digit_share"], 1 / len("Top 1MiddleBottomSmall"))


def test_each_picture_s_lines_are_as_high_as_its_own_width_says() -> None:
    """All were measured by the first picture, so that the letters of a wide one behind a tall one looked huge."""
    tall, wide = (
        Picture(name * 64, *size, (line,))
        for name, size, line in (
            ("a", (500, 1000), Line("one", 0.9, (0.1, 0.1, 0.5, 0.2))),
            ("b", (1000, 250), Line("two", 0.9, (0.1, 0.1, 0.5, 0.5))),
        )
    )
    talk = Item("1", "intent", (Turn("user", "", ("a", "b")),), (tall, wide))
    assert math.isclose(numbers(talk)["line_height_max"], 0.2)
    assert math.isclose(numbers(talk)["line_height"], 0.15)
    back = numbers(replace(talk, pictures=(wide, tall)))
    assert math.isclose(back["line_height_max"], 0.2)


def test_numbers_of_nothing_are_missing_not_zero() -> None:
    found = numbers(Item("1", "scene", (), (Picture("a", 0, 0),)))
    assert tuple(found) == NUMBERS
    assert found["has_text"] == 0
    assert math.isnan(found["aspect"])
    assert math.isnan(found["line_height"])


def test_whether_there_is_anything_to_see() -> None:
    assert has_anything(dialogue(("u", "hi")))
    assert not has_anything(dialogue(("u", " <image> ")))
    assert has_anything(Item("1", "scene", (), (Picture("a", 9, 9),)))
    assert not has_anything(Item("1", "scene", (), (Picture("a", 0, 0, error_code="image_empty"),)))
