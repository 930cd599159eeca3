"""Screens of a parcel on its way: a line of events with times and places, often under a map."""

from kdsl.demo.canvas import Page, tint
from kdsl.demo.extras import borrow
from kdsl.demo.facts import CARRIERS, MONTHS, TOWNS, Facts

EVENTS = (
    ("Delivered to the door", "Left with a neighbour", "Handed over"),
    ("Out for delivery", "With the driver", "On the van"),
    ("Nobody at home", "Delivery attempted", "We missed you"),
    ("Arrived at depot {town}", "Depot {town}", "Reached {town}"),
    ("Left depot {town}", "Departed {town}", "On the road from {town}"),
    ("Customs check done", "Cleared customs", "Released by customs"),
    ("Sorted in {town}", "Sorting centre {town}", "Scanned in {town}"),
    ("Picked up from the shop", "Handed to courier", "Collected"),
    ("Label printed", "Announced by the shop", "Data received"),
)


def tracking_page(page: Page, facts: Facts) -> None:
    """Where a parcel is: a line of events with times and places, often under a map."""
    page.head(
        facts.title("Track parcel", "Tracking", "Delivery status", "Where is my parcel", "Shipment", "Order details"),
        facts.clock(),
    )
    if facts.chance(0.45):
        _map(page, facts)
    borrow(page, facts, 0.2, "order", "refund")
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
            f"{facts.pick('Expected', 'Arrives', 'Estimated delivery', 'Due')} {facts.date()}", fill=page.look.bright
        )
    with page.block():
        page.pair(facts.dice.choice(CARRIERS), f"{facts.dice.choice(('SV', 'PB', 'PX'))}{facts.digits(9)}")
        if facts.chance(0.4):
            page.pair("Order", facts.order)
    with page.block():
        _events(page, facts)
    borrow(page, facts, 0.5, "suggestions", "order", "refund")
    if facts.chance(0.5):
        page.buttons(facts.dice.choice((("Copy number", "Call courier"), ("Change delivery",), ("Help", "Got it"))))


def _events(page: Page, facts: Facts) -> None:
    """What happened to the parcel, newest first, one event every few hours."""
    look, dice = page.look, facts.dice
    newest, count = dice.randrange(4), dice.randrange(3, 7)
    hour, day, month = dice.randrange(7, 20), dice.randrange(8, 28), dice.choice(MONTHS)
    for at, ways in enumerate(EVENTS[newest : newest + count]):
        y = page.y + look.size * 0.6
        page.box(page.left, y - 5, page.left + 10, y + 5, fill=look.accent if at == 0 else look.faint, radius=5)
        if at + 1 < count:
            page.path([(page.left + 5, y + 6), (page.left + 5, y + page.line * 2)], fill=look.faint)
        x = page.left + look.size * 1.6
        page.text(x, page.y, facts.pick(*ways).format(town=dice.choice(TOWNS)), bold=at == 0)
        when = f"{day} {month}  {hour}:{dice.randrange(60):02d}"
        page.text(x, page.y + page.line * 0.85, when, size=0.82, fill=look.faint)
        page.y += page.line * 2
        hour -= dice.randrange(1, 9)
        if hour < 0:
            hour, day = hour + 24, day - 1


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
