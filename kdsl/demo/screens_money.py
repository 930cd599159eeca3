"""Screens of money: coupons, and payment with what came of it."""

from kdsl.demo.canvas import Page
from kdsl.demo.extras import borrow
from kdsl.demo.facts import Facts


def coupon_page(page: Page, facts: Facts) -> None:
    """A wallet of coupons, or one voucher in large letters with its terms."""
    look = page.look
    page.head(facts.title("My coupons", "Vouchers", "Coupons", "Offers for you", "Rewards", "Perks"), facts.clock())
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
        borrow(page, facts, 0.5, "suggestions", "pay")
        return
    if facts.chance(0.6):
        page.tabs(facts.pick("Usable,Used,Expired", "All,Shop,Delivery", "Active,Past").split(","))
    borrow(page, facts, 0.2, "suggestions", "order")
    for _ in range(facts.dice.choice((1, 2, 3, 5))):
        with page.block():
            off = facts.dice.choice((facts.money(1, 30), f"{facts.dice.choice((5, 10, 15, 20))}%"))
            page.text(page.left, page.y, f"{off} off", size=1.5, bold=True, fill=look.bright)
            page.y += round(page.line * 1.5)
            page.say(f"{facts.pick('Min. spend', 'From', 'Orders over')} {facts.money(20, 99)}", size=0.9)
            page.pair(
                f"{facts.pick('Valid until', 'Until', 'Ends', 'Expires')} {facts.date()}",
                facts.dice.choice(("Use", "Collect", "Expired", "Used", "Apply")),
            )
            x, y0, y1 = look.width * 0.72, page.y - 3 * page.line, page.y
            page.path([(x, y0), (x, y1)], fill=look.faint)
    borrow(page, facts, 0.5, "suggestions", "pay")


def payment_page(page: Page, facts: Facts) -> None:
    """Checkout, or what came of it: ways to pay, the sum, an error or a receipt."""
    sums = facts.sums()
    look = page.look
    page.head(
        facts.title("Checkout", "Payment", "Pay", "Secure payment", "Confirm and pay", "Order summary"), facts.clock()
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
        good = ("Payment received", "Paid", "Thank you for your order", "Payment complete", "Order confirmed", "Done")
        page.say(facts.pick(*(bad if failed else good)), size=1.3, bold=True, centre=True)
        page.say(sums.total, size=1.8, bold=True, centre=True)
        with page.block():
            page.pair(facts.pick("Method", "Card", "Paid with"), "Card *4821")
            page.pair(facts.pick("Reference", "Transaction", "Booking"), facts.digits(10))
            page.pair("Order", facts.order)
        page.wide_button("Try again" if failed else facts.pick("Done", "View order"))
        borrow(page, facts, 0.5, "order", "suggestions")
        return
    borrow(page, facts, 0.35, "order", "coupons")
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
            page.article(*facts.article(sums.goods))
    with page.block():
        if facts.chance(0.6):
            page.pair(facts.pick("Subtotal", "Items", "Goods"), sums.goods)
            page.pair("Delivery", sums.delivery)
        if facts.chance(0.45):
            page.pair(facts.pick("Coupon", "Voucher", "Discount"), f"-{sums.discount}")
        page.pair(facts.pick("Total", "To pay", "Amount due", "You pay"), sums.total, bold=True)
    page.wide_button(facts.pick("Pay now", "Place order", f"Pay {sums.total}", "Confirm payment", "Buy and pay"))
