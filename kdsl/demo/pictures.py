"""Pictures as shoppers send them: a scene rendered, cropped or tilted or squeezed by the phone, and encoded."""

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from random import Random
from typing import Literal

from PIL import Image, ImageFilter

from kdsl.demo import screens_money, screens_orders, screens_shop, screens_tracking
from kdsl.demo.canvas import Page, theme
from kdsl.demo.facts import Facts, facts
from kdsl.demo.photos import photo
from kdsl.demo.wording import Part

PHOTO = "photo_of_item"
SCREENS: dict[str, Callable[[Page, Facts], None]] = {
    "order_page": screens_orders.order_page,
    "refund_page": screens_orders.refund_page,
    "tracking_page": screens_tracking.tracking_page,
    "payment_page": screens_money.payment_page,
    "coupon_page": screens_money.coupon_page,
    "product_page": screens_shop.product_page,
    "chat_page": screens_shop.chat_page,
}
SCENE_NAMES = (*SCREENS, PHOTO)

Fault = Literal["empty", "truncated_jpg", "truncated_png", "no_picture"]
FAULTS: tuple[Fault, ...] = ("empty", "truncated_jpg", "truncated_png", "no_picture")


@dataclass(frozen=True, slots=True)
class Encoded:
    """A picture file: its bytes and the suffix of its name."""

    content: bytes
    suffix: Literal[".jpg", ".png"]


def picture(scene: str, dice: Random, part: Part) -> Encoded:
    """Render one picture of a scene; `history` knows fewer wordings on the screens than `nights`."""
    known = facts(dice, part)
    if scene == PHOTO:
        return _encode(photo(known), dice, png=0.0)
    page = Page(theme(dice))
    SCREENS[scene](page, known)
    return _encode(_sent(page.image(), min(page.y, page.look.height), dice), dice, png=0.3)


def broken(fault: Fault, dice: Random) -> Encoded:
    """A file that no decoder can read to its end."""
    if fault == "empty":
        return Encoded(b"", ".jpg")
    if fault == "no_picture":
        return Encoded(b"<html><body>404 not found</body></html>\n", ".png")
    whole = picture(dice.choice(SCENE_NAMES), dice, "nights")
    with Image.open(BytesIO(whole.content)) as image:
        whole = _encode(image.convert("RGB"), dice, png=float(fault == "truncated_png"))
    return Encoded(whole.content[: len(whole.content) // 2], whole.suffix)


def _sent(image: Image.Image, end: int, dice: Random) -> Image.Image:
    """What happens to a screenshot before it is sent: mostly nothing; a part cut out, a photo of the screen, a blur.

    `end` is the row of pixels at which the page's content ends.
    """
    wide, tall = image.size
    fate = dice.random()
    if fate < 0.32:
        top, high = dice.uniform(0.1, 0.5), max(140, round(end * dice.uniform(0.3, 0.5)))
        low = min(tall, round(end * top) + high)
        return image.crop((0, low - high, wide, low))
    if fate < 0.4:
        angle = dice.uniform(1.0, 3.5) * dice.choice((-1, 1))
        tilted = image.rotate(angle, Image.Resampling.BICUBIC, expand=True, fillcolor=(70, 66, 62))
        return tilted.filter(ImageFilter.GaussianBlur(0.6))
    if fate < 0.47:
        small = image.resize((wide * 3 // 4, tall * 3 // 4), Image.Resampling.BILINEAR)
        return small.resize((wide, tall), Image.Resampling.BILINEAR)
    return image


def _encode(image: Image.Image, dice: Random, png: float) -> Encoded:
    target = BytesIO()
    if dice.random() < png:
        image.save(target, "PNG")
        return Encoded(target.getvalue(), ".png")
    image.save(target, "JPEG", quality=dice.choice((50, 75, 88)))
    return Encoded(target.getvalue(), ".jpg")
