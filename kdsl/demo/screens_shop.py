"""Screens beside the purchase: products and chats."""

from kdsl.demo.canvas import Page, font, tint, wrap
from kdsl.demo.dialogues import talk
from kdsl.demo.extras import borrow
from kdsl.demo.facts import SHOPS, Facts
from kdsl.demo.intents import INTENT_NAMES
from kdsl.demo.silhouettes import silhouette


def product_page(page: Page, facts: Facts) -> None:
    """One article for sale: a big picture, price, rating, choices, and a button to buy; often with an offer."""
    look = page.look
    name, note, price, swatch = facts.article()
    page.head(facts.title("", facts.shop, "Product", "Details", "Article"), facts.clock())
    top, high = page.y - page.gap, round(look.width * facts.dice.choice((0.5, 0.7, 0.85)))
    page.box(0, top, look.width, top + high, fill=tint(swatch, 70), radius=0)
    silhouette(page, facts, swatch, (look.width / 2, top + high / 2, high * 0.38))
    page.text(
        look.width - 8, top + high - 6, f"1/{facts.dice.randrange(2, 9)}", size=0.8, fill=(60, 60, 60), anchor="rd"
    )
    page.y = top + high + page.gap
    page.say(price, size=1.5, bold=True, fill=look.bright)
    page.say(name, size=1.15, bold=True)
    borrow(page, facts, 0.25, "coupons")
    if facts.chance(0.4):
        page.say(
            facts.dice.choice(
                (
                    f"Coupon {facts.money(2, 9)} off",
                    "10% off with code TEA20",
                    "Members save 5%",
                    "Free returns for 30 days",
                )
            )
        )
    rows = (
        f"{facts.dice.randrange(30, 50) / 10} of 5, {facts.digits(3)} {facts.pick('reviews', 'ratings', 'opinions')}",
        facts.pick("In stock", "Only 3 left", "Available", "Sent within 24 hours"),
        f"{facts.pick('Choose', 'Option', 'Variant')}: {note}",
        facts.pick("Free delivery from 40.00", "Delivery in 2 days", "Ships tomorrow"),
        facts.pick(
            "Description: made to last, easy to clean.", "About this item", "Material and care", "Sold by " + facts.shop
        ),
    )
    for row in rows:
        if facts.chance(0.7):
            page.say(row)
    page.y += page.gap
    if facts.chance(0.6):
        page.wide_button(facts.pick("Add to basket", "Buy now", "Add to bag", "Put in basket", "Order now"))
    else:
        page.buttons((facts.pick("Save", "Compare"), facts.pick("Add to basket", "Buy now", "Into the bag")))
    borrow(page, facts, 0.6, "suggestions", "coupons", "courier")


def chat_page(page: Page, facts: Facts) -> None:
    """A talk with the shop or a courier, in bubbles; it may be about a refund, a parcel or a coupon."""
    look, dice = page.look, facts.dice
    page.head(dice.choice((*SHOPS, "Help chat", "Customer service", "Courier")), facts.clock())
    said = (
        talk(dice, facts.part, dice.choice(INTENT_NAMES)).said + talk(dice, facts.part, dice.choice(INTENT_NAMES)).said
    )
    face = font(look.family, False, look.size)
    bottom = look.height - round(look.size * 3.2)
    if facts.chance(0.6):
        page.say(
            dice.choice(("Today", "Yesterday", facts.date())) + " " + facts.clock(),
            size=0.8,
            centre=True,
            fill=look.faint,
        )
    borrow(page, facts, 0.4, "order", "courier", "refund", "coupons", "pay")
    for who, text in said:
        rows = wrap(text or "...", face, look.width * 0.62)
        wide = max(face.getlength(row) for row in rows) + look.size
        high = len(rows) * page.line + look.size * 0.6
        if page.y + high > bottom:
            break
        mine = who == "user"
        x = page.right - wide if mine else page.left + (look.size * 2)
        if not mine:
            page.box(
                page.left,
                page.y,
                page.left + look.size * 1.6,
                page.y + look.size * 1.6,
                fill=look.faint,
                radius=look.size,
            )
        page.box(x, page.y, x + wide, page.y + high, fill=look.accent if mine else look.card, radius=8)
        for at, row in enumerate(rows):
            ink = (255, 255, 255) if mine else look.ink
            page.text(x + look.size / 2, page.y + look.size * 0.4 + at * page.line, row, fill=ink)
        page.y += round(high) + page.gap
    page.box(0, bottom + 4, look.width, look.height, fill=look.card, radius=0)
    page.box(page.left, bottom + 12, page.right - 60, look.height - 8, fill=look.ground, outline=look.faint)
    page.text(
        page.left + 10,
        (bottom + 4 + look.height) / 2,
        facts.pick("Write a message", "Message", "Type here"),
        fill=look.faint,
        anchor="lm",
    )
    page.text(page.right, (bottom + 4 + look.height) / 2, "Send", fill=look.bright, anchor="rm")
