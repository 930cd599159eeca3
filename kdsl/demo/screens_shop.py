"""Screens before and beside the purchase: products, coupons, payment and chat."""

from kdsl.demo.canvas import Page, font, tint, wrap
from kdsl.demo.dialogues import INTENT_NAMES, talk
from kdsl.demo.facts import SHOPS, Facts


def product_page(page: Page, facts: Facts) -> None:
    """One article for sale: a big picture, price, rating, choices, and a button to buy; often with an offer."""
    look = page.look
    name, note, price, swatch = facts.article()
    page.head(facts.pick("", facts.shop, "Product", "Details", "Article"), facts.clock())
    top, high = page.y - page.gap, round(look.width * facts.dice.choice((0.5, 0.7, 0.85)))
    page.box(0, top, look.width, top + high, fill=tint(swatch, 70), radius=0)
    wide, tall = look.width * facts.dice.choice((0.2, 0.28)), high * 0.36
    x, y = look.width / 2, top + high / 2
    page.box(x - wide, y - tall, x + wide, y + tall, fill=swatch, radius=facts.dice.choice((6, 30, 60)))
    page.box(x - wide * 0.5, y - tall * 0.6, x + wide * 0.5, y - tall * 0.2, fill=tint(swatch, -40), radius=8)
    page.text(
        look.width - 8, top + high - 6, f"1/{facts.dice.randrange(2, 9)}", size=0.8, fill=(60, 60, 60), anchor="rd"
    )
    page.y = top + high + page.gap
    page.say(price, size=1.5, bold=True, fill=look.accent)
    page.say(name, size=1.15, bold=True)
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
        f"{facts.pick('Choose', 'Size', 'Variant')}: {note}",
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


def coupon_page(page: Page, facts: Facts) -> None:
    """A wallet of coupons, or one voucher in large letters with its terms."""
    look = page.look
    page.head(facts.pick("My coupons", "Vouchers", "Coupons", "Offers for you", "Rewards", "Perks"), facts.clock())
    if facts.chance(0.3):
        page.y += look.size * 2
        page.say(facts.pick("Your code", "A gift for you", "Only for you"), centre=True)
        page.say(
            facts.dice.choice(("SPRING10", "HELLO5", "WELCOME15", "TEA20", "COSY10")),
            size=2.2,
            bold=True,
            centre=True,
            fill=look.accent,
        )
        page.say(
            f"{facts.money(2, 20)} off {facts.pick('orders', 'your basket', 'all')} over {facts.money(30, 90)}",
            centre=True,
        )
        page.y += page.gap
        page.wide_button(facts.pick("Copy code", "Use now", "Redeem", "Shop now"))
        page.say(
            facts.pick("One use a customer. Not for sale items.", "Terms apply. Cannot be paid out.", "Ends soon."),
            size=0.85,
            fill=look.faint,
        )
        return
    if facts.chance(0.6):
        page.say(facts.pick("Usable   Used   Expired", "All   Shop   Delivery", "Active   Past"))
    for _ in range(5):
        with page.block():
            off = facts.dice.choice((facts.money(1, 30), f"{facts.dice.choice((5, 10, 15, 20))}%"))
            page.text(page.left, page.y, f"{off} off", size=1.5, bold=True, fill=look.accent)
            page.y += round(page.line * 1.5)
            page.say(f"{facts.pick('Min. spend', 'From', 'Orders over')} {facts.money(20, 99)}", size=0.9)
            page.pair(
                f"{facts.pick('Valid until', 'Until', 'Ends', 'Expires')} {facts.date()}",
                facts.dice.choice(("Use", "Collect", "Expired", "Used", "Apply")),
            )
            x, y0, y1 = look.width * 0.72, page.y - 3 * page.line, page.y
            page.path([(x, y0), (x, y1)], fill=look.faint)


def payment_page(page: Page, facts: Facts) -> None:
    """Checkout, or what came of it: ways to pay, the sum, an error or a receipt."""
    look = page.look
    page.head(
        facts.pick("Checkout", "Payment", "Pay", "Secure payment", "Confirm and pay", "Order summary"), facts.clock()
    )
    if facts.chance(0.4):
        page.y += look.size
        failed = facts.chance(0.65)
        x, y, arm = look.width / 2, page.y + look.size * 2, look.size * 1.5
        page.box(x - arm, y - arm, x + arm, y + arm, fill=(200, 60, 50) if failed else (40, 150, 90), radius=arm)
        page.text(x, y, "!" if failed else "OK", size=1.5, bold=True, fill=(255, 255, 255), anchor="mm")
        page.y += round(look.size * 4.4)
        bad = (
            "Payment failed",
            "Card declined",
            "Something went wrong",
            "Payment could not be completed",
            "Your bank said no",
        )
        good = ("Payment received", "Paid", "Thank you", "Payment complete")
        page.say(facts.pick(*(bad if failed else good)), size=1.3, bold=True, centre=True)
        page.say(facts.money(), size=1.8, bold=True, centre=True)
        with page.block():
            page.pair(facts.pick("Method", "Card", "Paid with"), "Card *4821")
            page.pair(facts.pick("Reference", "Transaction", "Booking"), facts.digits(10))
            page.pair("Order", facts.order)
        page.wide_button("Try again" if failed else facts.pick("Done", "View order"))
        return
    with page.block():
        for way in facts.dice.sample(
            ("Card *4821", "Wallet balance", "Bank transfer", "Invoice, 30 days", "New card", "Gift card"),
            facts.dice.randrange(2, 5),
        ):
            middle = page.y + look.size * 0.6
            page.box(page.right - 12, middle - 6, page.right, middle + 6, fill=None, outline=look.accent, radius=6)
            page.say(way)
    if facts.chance(0.5):
        with page.block():
            page.pair("Card number", "**** **** **** 4821")
            page.pair("Expiry", "01/30")
            page.pair("Security code", "***")
    if facts.chance(0.4):
        with page.block():
            page.article(*facts.article())
    with page.block():
        if facts.chance(0.6):
            page.pair(facts.pick("Subtotal", "Items", "Goods"), facts.money())
            page.pair("Delivery", facts.money(0, 9))
        if facts.chance(0.45):
            page.pair(facts.pick("Coupon", "Voucher", "Discount"), f"-{facts.money(1, 15)}")
        page.pair(facts.pick("Total", "To pay", "Amount due", "You pay"), facts.money(), bold=True)
    page.wide_button(facts.pick("Pay now", "Place order", f"Pay {facts.money()}", "Confirm payment", "Buy and pay"))


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
    page.text(page.right, (bottom + 4 + look.height) / 2, "Send", fill=look.accent, anchor="rm")
