"""Blocks that pages borrow from each other: an order shows its parcel, a product its coupon, a chat an order."""

from collections.abc import Callable
from typing import Literal

from kdsl.demo.canvas import Page
from kdsl.demo.facts import CARRIERS, TOWNS, Facts

Name = Literal["coupons", "courier", "order", "pay", "refund", "suggestions"]


def borrow(page: Page, facts: Facts, share: float, *names: Name) -> None:
    """In that share of the pages, add one of the blocks named."""
    if facts.chance(share):
        _BLOCKS[facts.dice.choice(names)](page, facts)


def _suggestions(page: Page, facts: Facts) -> None:
    """A few other articles, as far as the page goes."""
    page.y += page.gap
    page.say(facts.pick("You may also like", "Others bought", "More for you"), bold=True)
    for _ in range(facts.dice.choice((2, 3, 5))):
        with page.block():
            page.article(*facts.article())


def _order(page: Page, facts: Facts) -> None:
    """An order in short."""
    sums = facts.sums()
    with page.block():
        page.pair(facts.pick("Order", "Order number", "Your order"), facts.order)
        page.article(*facts.article(sums.goods))
        if facts.chance(0.5):
            page.pair(facts.pick("Placed on", "Ordered on", "Date"), facts.date())
        page.pair(facts.pick("Total", "Order total", "Amount"), sums.total, bold=True)
        page.buttons((facts.pick("Buy again", "Details"), facts.pick("Track parcel", "View order", "Help")))


def _courier(page: Page, facts: Facts) -> None:
    """Where the parcel is, in two lines."""
    with page.block():
        state = facts.pick("In transit", "Out for delivery", "Delivered", "Arrived at depot", "Handed to courier")
        page.say(f"{state}, {facts.dice.choice(TOWNS)}", bold=True)
        page.pair(facts.dice.choice(CARRIERS), f"PX{facts.digits(9)}")
        page.say(f"{facts.date()}  {facts.clock()}", size=0.85, fill=page.look.faint)


def _pay(page: Page, facts: Facts) -> None:
    """A sum to be paid, and how."""
    with page.block():
        page.pair(facts.pick("To pay", "Amount due", "Open amount"), facts.money(), bold=True)
        page.say(
            f"{facts.pick('Pay within', 'Time left', 'Reserved for')} 0{facts.dice.randrange(10)}:{facts.digits(2)}"
        )
        page.say(facts.dice.choice(("Card *4821", "Wallet balance", "Bank transfer", "Invoice, 30 days")))
    page.wide_button(facts.pick("Pay now", "Continue to payment", "Pay"))


def _refund(page: Page, facts: Facts) -> None:
    """A sum on its way back."""
    with page.block():
        page.say(facts.pick("Refund in progress", "Refund approved", "Money on its way back"), bold=True)
        page.pair(facts.pick("Refund amount", "You get back", "Paid back"), facts.money())
        page.pair(facts.pick("Refund to", "Goes to"), facts.dice.choice(("Card *4821", "Wallet", "Bank account")))


def _coupons(page: Page, facts: Facts) -> None:
    """A strip of coupons."""
    with page.block():
        page.say(facts.pick("Coupons", "Your vouchers", "Save more"), bold=True)
        for _ in range(facts.dice.choice((1, 2, 3))):
            off = facts.dice.choice((facts.money(1, 30), f"{facts.dice.choice((5, 10, 15, 20))}%"))
            page.pair(
                f"{off} off {facts.pick('from', 'over')} {facts.money(20, 99)}", facts.pick("Collect", "Use", "Apply")
            )


_BLOCKS: dict[Name, Callable[[Page, Facts], None]] = {
    "coupons": _coupons,
    "courier": _courier,
    "order": _order,
    "pay": _pay,
    "refund": _refund,
    "suggestions": _suggestions,
}
