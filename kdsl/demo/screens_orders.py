"""Screens after the purchase: orders, refunds and parcels. They share words on purpose: an order may be refunded."""

from kdsl.demo.canvas import Page, tint
from kdsl.demo.facts import CARRIERS, TOWNS, Facts

TABS = ("Home", "Search", "Basket", "Account")


def order_page(page: Page, facts: Facts) -> None:
    """A list of orders, or one order in full; some wait for payment, some are partly refunded."""
    if facts.chance(0.5):
        _order_list(page, facts)
    else:
        _order_details(page, facts)
    if facts.chance(0.5):
        page.foot(TABS, 3)


def _order_list(page: Page, facts: Facts) -> None:
    page.head(facts.pick("My orders", "Orders", "Order history", "Your purchases", "Purchases"), facts.clock())
    if facts.chance(0.6):
        page.say(
            facts.pick("All   To pay   To ship   To receive", "All   Open   Done   Returns", "Open   Past   Sent back")
        )
    for _ in range(4):
        with page.block():
            status = facts.dice.choice(
                (
                    "Shipped",
                    "Delivered",
                    "Being packed",
                    "Awaiting payment",
                    "Cancelled",
                    "Refunded",
                    "Completed",
                    "Confirmed",
                )
            )
            page.pair(facts.dice.choice((facts.shop, facts.order, facts.date())), status, fill=page.look.accent)
            page.article(*facts.article())
            actions = {
                "Awaiting payment": ("Cancel", "Pay now"),
                "Delivered": ("Return", "Buy again"),
                "Shipped": ("Help", "Track"),
                "Refunded": ("Refund details",),
            }
            page.buttons(actions.get(status, ("Details", facts.dice.choice(("Buy again", "Review", "Help")))))


def _order_details(page: Page, facts: Facts) -> None:
    page.head(facts.pick("Order details", "Your order", "Order", "Purchase details", facts.shop), facts.clock())
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
    page.say(status, size=1.2, bold=True)
    if facts.chance(0.4):
        with page.block():
            page.say(facts.pick("Deliver to", "Ship to", "Address"), bold=True)
            page.say(f"{facts.person}, {facts.address()}", size=0.9)
    with page.block():
        for _ in range(facts.dice.choice((1, 1, 2, 3))):
            page.article(*facts.article())
    with page.block():
        rows = [
            (facts.pick("Order number", "Order no.", "Reference"), facts.order),
            (facts.pick("Ordered on", "Placed on", "Date"), facts.date()),
            (facts.pick("Items", "Subtotal", "Goods"), facts.money()),
            (facts.pick("Delivery", "Shipping", "Postage"), facts.money(0, 9)),
            (
                facts.pick("Paid with", "Payment", "Payment method"),
                facts.dice.choice(("Card *4821", "Wallet", "Invoice")),
            ),
            ("Discount", f"-{facts.money(1, 12)}"),
        ]
        for name, value in rows:
            if facts.chance(0.75):
                page.pair(name, value)
        page.pair(facts.pick("Total", "Order total", "Amount"), facts.money(), bold=True)
    page.buttons(
        facts.dice.choice(
            (("Cancel order", "Help"), ("Return", "Track parcel"), ("Invoice", "Buy again"), ("Pay now",))
        )
    )


def refund_page(page: Page, facts: Facts) -> None:
    """How far a refund or return is; some look like the order that it pays back."""
    title = facts.pick(
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
    )
    page.say(facts.dice.choice(states), size=1.25, bold=True, fill=page.look.accent)
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
        page.article(*facts.article())
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
            ("Order", facts.order),
            ("Quantity", "1"),
        ]
        for name, value in rows:
            if facts.chance(0.75):
                page.pair(name, value)
    page.buttons(
        facts.dice.choice((("Withdraw", "Contact us"), ("Return label",), ("Help", "Done"), ("Enter tracking no.",)))
    )


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


def tracking_page(page: Page, facts: Facts) -> None:
    """Where a parcel is: a line of events with times and places, often under a map."""
    page.head(
        facts.pick("Track parcel", "Tracking", "Delivery status", "Where is my parcel", "Shipment", "Order details"),
        facts.clock(),
    )
    if facts.chance(0.45):
        _map(page, facts)
    states = (
        "In transit",
        "Out for delivery",
        "Delivered",
        "At the depot",
        "Held at customs",
        "Delivery attempted",
        "Sent",
        "Delayed",
    )
    page.say(facts.dice.choice(states), size=1.25, bold=True)
    if facts.chance(0.6):
        page.say(
            f"{facts.pick('Expected', 'Arrives', 'Estimated delivery', 'Due')} {facts.date()}", fill=page.look.accent
        )
    with page.block():
        page.pair(facts.dice.choice(CARRIERS), f"{facts.dice.choice(('SV', 'PB', 'PX'))}{facts.digits(9)}")
        if facts.chance(0.4):
            page.pair("Order", facts.order)
    with page.block():
        _events(page, facts)
    if facts.chance(0.3):
        page.article(*facts.article())
    if facts.chance(0.5):
        page.buttons(facts.dice.choice((("Copy number", "Call courier"), ("Change delivery",), ("Help", "Got it"))))


def _events(page: Page, facts: Facts) -> None:
    look = page.look
    events = (
        "Delivered to the door",
        "With the driver",
        "Arrived at depot {town}",
        "Left depot {town}",
        "Sorted in {town}",
        "Picked up from the shop",
        "Label printed",
        "Nobody at home",
        "Customs check done",
        "Order handed to courier",
    )
    count = facts.dice.randrange(3, 7)
    for at, event in enumerate(facts.dice.sample(events, count)):
        y = page.y + look.size * 0.6
        page.box(page.left, y - 5, page.left + 10, y + 5, fill=look.accent if at == 0 else look.faint, radius=5)
        if at + 1 < count:
            x, low = page.left + 5, y + page.line * 2
            page.path([(x, y + 6), (x, low)], fill=look.faint)
        at_text = page.left + look.size * 1.6
        page.text(at_text, page.y, event.format(town=facts.dice.choice(TOWNS)), bold=at == 0)
        page.text(at_text, page.y + page.line * 0.85, f"{facts.date()}  {facts.clock()}", size=0.82, fill=look.faint)
        page.y += round(page.line * 2)


def _map(page: Page, facts: Facts) -> None:
    look, dice = page.look, facts.dice
    top, high = page.y - page.gap, round(look.width * dice.choice((0.4, 0.55, 0.7)))
    ground = tint(look.card, -14) if look.card[0] > 99 else tint(look.card, 20)
    page.box(0, top, look.width, top + high, fill=ground, radius=0)
    for _ in range(4):
        road = [(dice.randrange(look.width), top), (dice.randrange(look.width), top + high)]
        page.path(road, fill=tint(ground, 24), width=9)
    for _ in range(3):
        road = [(0, top + dice.randrange(high)), (look.width, top + dice.randrange(high))]
        page.path(road, fill=tint(ground, 24), width=5)
    for _ in range(2):
        x, y = dice.randrange(30, look.width - 30), top + dice.randrange(20, high - 20)
        page.box(x - 9, y - 9, x + 9, y + 9, fill=look.accent, outline=(255, 255, 255), radius=9)
    page.y = top + high + page.gap
