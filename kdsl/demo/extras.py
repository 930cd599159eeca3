"""What shops add to the end of many pages."""

from kdsl.demo.canvas import Page
from kdsl.demo.facts import Facts


def suggestions(page: Page, facts: Facts) -> None:
    """A few other articles, as far as the page goes."""
    page.y += page.gap
    page.say(facts.pick("You may also like", "Others bought", "More for you"), bold=True)
    for _ in range(facts.dice.choice((2, 3, 5))):
        with page.block():
            page.article(*facts.article())
