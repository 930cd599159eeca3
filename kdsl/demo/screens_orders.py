"""Screens after the purchase: orders and refunds. They share words on purpose, as an order may be refunded."""

from kdsl.demo.canvas import Page
from kdsl.demo.extras import borrow
from kdsl.demo.facts import Facts

TABS = ("Home", "Search", "Basket", "Account")
ORDER_STATES = (
    *("Shipped", "Delivered", "Being packed", "Awaiting payment"),
    *("Cancelled", "Refunded", "Completed", "Confirmed"),
)
WENT_BACK = ("Refunded", "Cancelled", "Sent back", "Closed", "In progress")
ACTIONS = {
    "Awaiting payment": ("Cancel", "Pay now"),
    "Delivered": ("Return", "Buy again"),
    "Shipped": ("Help", "Track"),
    "Refunded": ("Refund details",),
}


def order_page(page: Page, facts: Facts) -> None:
    """A list of orders, or one order in full; some wait for payment, some are partly refunded."""
    if facts.chance(0.5):
        _order_list(page, facts)
    else:
        _order_details(page, facts)
    if facts.chance(0.5):
        page.foot(TABS, 3)


def _order_list(page: Page, facts: Facts) -> None:
    page.head(facts.title("My orders", "Orders", "Order history", "Your purchases", "Purchases"), facts.clock())
    if facts.chance(0.6):
        page.tabs(
            facts.pick("All,To pay,To ship,To receive", "All,Open,Done,Returns", "Open,Past,Sent back").split(",")
        )
    # some have picked out what went back: then an order list reads like a list of refunds
    _entries(page, facts, WENT_BACK if facts.chance(0.2) else ORDER_STATES)


def _entries(page: Page, facts: Facts, states: tuple[str, ...]) -> None:
    for _ in range(4):
        with page.block():
            status = facts.dice.choice(states)
            page.pair(facts.dice.choice((facts.shop, facts.number(), facts.date())), status, fill=page.look.bright)
            page.article(*facts.article())
            page.buttons(ACTIONS.get(status, ("Details", facts.dice.choice(("Buy again", "Review", "Help")))))


def _order_details(page: Page, facts: Facts) -> None:
    page.head(facts.title("Order details", "Your order", "Order", "Purchase details", facts.shop), facts.clock())
    status = facts.dice.choice(
        (
            "Order confirmed",
            "We are packing your order",
            "On its way to you",
            "Delivered",
            "Waiting for payment",
            "Cancelled, refund on its way",
            "Thank you for your order",
        )
    )
    if facts.chance(0.75):
        page.say(status, size=1.2, bold=True)
    borrow(page, facts, 0.4, "courier", "refund", "pay")
    sums, single = facts.sums(), facts.chance(0.6)
    if facts.chance(0.4):
        with page.block():
            page.say(facts.pick("Deliver to", "Ship to", "Address"), bold=True)
            page.say(f"{facts.person}, {facts.address()}", size=0.9)
    with page.block():
        for price in (sums.goods,) if single else (sums.first, sums.second):
            page.article(*facts.article(price))
    with page.block():
        rows = [
            (facts.pick("Order number", "Order no.", "Reference"), facts.order),
            (facts.pick("Ordered on", "Placed on", "Date"), facts.date()),
            (facts.pick("Items", "Subtotal", "Goods"), sums.goods),
            (facts.pick("Delivery", "Shipping", "Postage"), sums.delivery),
            (
                facts.pick("Paid with", "Payment", "Payment method"),
                facts.dice.choice(("Card *4821", "Wallet", "Invoice")),
            ),
            ("Discount", f"-{sums.discount}"),
        ]
        for name, value in rows:
            if facts.chance(0.75):
                page.pair(name, value)
        page.pair(facts.pick("Total", "Order total", "Amount"), sums.total, bold=True)
    page.buttons(
        facts.dice.choice(
            (("Cancel order", "Help"), ("Return", "Track parcel"), ("Invoice", "Buy again"), ("Pay now",))
        )
    )
    borrow(page, facts, 0.5, "suggestions", "courier", "coupons")


def refund_page(page: Page, facts: Facts) -> None:
    """How far a refund or return is, or a list of them; some look like the order that is paid back."""
    if facts.chance(0.3):
        page.head(facts.title("Returns and refunds", "Refunds", "Sent back", "After sales", "My orders"), facts.clock())
        if facts.chance(0.6):
            page.tabs(facts.pick("All,Open,Done", "Requests,Records", "Open,Past").split(","))
        _entries(page, facts, (*WENT_BACK, "Return received"))
        return
    title = facts.title(
        "Refund details", "Return and refund", "Refund status", "Money back", "Return details", "Order details"
    )
    page.head(title, facts.clock())
    amount = facts.money()
    states = (
        "Refund in progress",
        "Refund approved",
        "Refund completed",
        "Waiting for your return",
        "Return received",
        "Refund declined",
        "Case closed",
        *("In progress", "Approved", "Completed", "Received", "Cancelled"),
    )
    borrow(page, facts, 0.2, "order", "courier")
    page.say(facts.dice.choice(states), size=1.25, bold=True, fill=page.look.bright)
    if facts.chance(0.6):
        page.say(
            facts.pick(
                f"{amount} will be back in 3 to 5 working days.",
                f"We have sent {amount} to your card.",
                "Please post the item within 7 days.",
                f"You get {amount} as soon as the parcel is here.",
            ),
            size=0.9,
        )
    if facts.chance(0.45):
        _steps(page, facts)
    with page.block():
        page.article(*facts.article(amount if facts.chance(0.7) else None))
    with page.block():
        rows = [
            (facts.pick("Refund amount", "Amount", "You get back"), amount),
            (
                facts.pick("Refund to", "Paid back to", "Goes to"),
                facts.dice.choice(("Card *4821", "Wallet", "Bank account")),
            ),
            (
                facts.pick("Reason", "Why", "Cause"),
                facts.dice.choice(("Too small", "Damaged", "Changed my mind", "Not as shown")),
            ),
            (facts.pick("Requested", "Opened", "Asked on"), facts.date()),
            (facts.pick("Case", "Refund no.", "Return no."), f"R-{facts.digits(7)}"),
            (facts.pick("Order number", "Order", "Reference"), facts.order),
            (facts.pick("Ordered on", "Placed on", "Date"), facts.date()),
            (facts.pick("Items", "Order total", "Paid"), facts.money()),
        ]
        for name, value in rows:
            if facts.chance(0.65):
                page.pair(name, value)
    page.buttons(
        facts.dice.choice((("Withdraw", "Contact us"), ("Return label",), ("Help", "Done"), ("Enter tracking no.",)))
    )
    borrow(page, facts, 0.5, "suggestions", "order", "courier")


def _steps(page: Page, facts: Facts) -> None:
    done, names = (
        facts.dice.randrange(1, 4),
        facts.pick("Asked Sent Checked Paid", "Opened Return Approved Refund", "Start Post Check Money").split(),
    )
    y, look = page.y + 8, page.look
    spots = [look.width * (at + 0.5) / len(names) for at in range(len(names))]
    page.path([(spots[0], y), (spots[-1], y)], fill=look.faint, width=2)
    for at, (x, name) in enumerate(zip(spots, names, strict=True)):
        page.box(x - 7, y - 7, x + 7, y + 7, fill=look.accent if at < done else look.faint, radius=7)
        page.text(x, y + 12, name, size=0.8, anchor="ma")
    page.y += 12 + 2 * page.line
