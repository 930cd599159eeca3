"""What stands on a made-up screen: one purchase with its article, sums, dates and numbers. Nobody and nothing real."""

from dataclasses import dataclass
from random import Random

from kdsl.demo.canvas import SWATCHES, Colour
from kdsl.demo.wording import Part

ARTICLES = (
    *("Copper kettle 1.5 l", "Reading lamp Luma", "Rain jacket Fjell", "Hiking boots Tarn", "Backpack Nomad 22"),
    *("Mug set of four", "Blender Whirl 600", "Wool scarf Ida", "Desk chair Otto", "Headphones Hush"),
    *("Toaster Duo", "Tent Lark 2P", "Wall clock Tik", "Phone case Clear", "Rug Moss 120x180", "Teapot Blanc"),
    *("Sweater Nora", "Keyboard Clack", "Puzzle 1000 pieces", "Suitcase Orbit M", "Vase Stem", "Umbrella Gale"),
)
SHOPS = ("Marigold Market", "Oak & Otter", "Bluebarn", "Lumo Store", "Pebble Shop", "Tinker & Tide")
CARRIERS = ("Swiftvan", "Postbird", "Parcelo", "Northhaul")
TOWNS = ("Exampleton", "Mockford", "Samplebury", "Port Fixture", "Dummyville")
STREETS = ("Placeholder Lane", "Sample Street", "Test Road", "Specimen Way")
PEOPLE = ("Mia Sample", "Tom Specimen", "Nora Muster", "A. Example", "J. Placeholder")
NOTES = ("Size M", "Size L", "Size 42", "Colour: blue", "Colour: grey", "1 piece", "Set of 2", "Gift wrap")
NEW = 0.5  # share of the nights' wordings that the history does not have, where there are any
PLAIN_TITLE = 0.3  # share of the pages whose title does not tell what they are
MONTHS = ("Jan", "Feb", "Mar", "Oct", "Nov", "Dec")


@dataclass(frozen=True, slots=True)
class Sums:
    """The sums of one purchase, written with the currency; `first` and `second` make up `goods`."""

    goods: str
    first: str
    second: str
    delivery: str
    discount: str
    total: str


@dataclass(frozen=True, slots=True)
class Facts:
    """One made-up purchase and its dice."""

    dice: Random
    part: Part
    currency: str
    shop: str
    order: str
    person: str

    def pick(self, *ways: str) -> str:
        """One of the ways to put it; the last third of them is known to the nights alone, and frequent there."""
        cut = len(ways) - len(ways) // 3
        new = self.part == "nights" and cut < len(ways) and self.chance(NEW)
        return self.dice.choice(ways[cut:] if new else ways[:cut])

    def title(self, *ways: str) -> str:
        """What a page calls itself; some show the shop's name, or nothing, instead."""
        return self.dice.choice((self.shop, "")) if self.chance(PLAIN_TITLE) else self.pick(*ways)

    def chance(self, share: float) -> bool:
        """True in that share of the cases."""
        return self.dice.random() < share

    def money(self, low: int = 4, high: int = 180) -> str:
        """A sum."""
        return f"{self.currency}{self.dice.randrange(low, high)}.{self.dice.choice(('00', '50', '90', '99'))}"

    def sums(self) -> Sums:
        """The sums of a purchase, which add up."""
        throw = self.dice
        goods = throw.randrange(12, 180) * 100 + throw.choice((0, 50, 90, 99))
        delivery, discount = throw.choice((0, 290, 390, 495)), throw.choice((100, 200, 500, goods // 10))
        first = goods * throw.randrange(20, 80) // 100
        cents = (goods, first, goods - first, delivery, discount, goods + delivery - discount)
        return Sums(*(f"{self.currency}{value // 100}.{value % 100:02d}" for value in cents))

    def number(self) -> str:
        """Another order's number."""
        return self.order[:-6] + self.digits(6)

    def article(self, price: str | None = None) -> tuple[str, str, str, Colour]:
        """Name, note, price and swatch of one article."""
        return self.dice.choice(ARTICLES), self.dice.choice(NOTES), price or self.money(), self.dice.choice(SWATCHES)

    def date(self) -> str:
        """A day, in one of several spellings."""
        day, month = self.dice.randrange(1, 29), self.dice.choice(MONTHS)
        return self.dice.choice((f"{day} {month}", f"{month} {day}", f"{day:02d}.{self.dice.randrange(1, 13):02d}."))

    def clock(self) -> str:
        """A time of day."""
        return f"{self.dice.randrange(7, 23)}:{self.dice.randrange(60):02d}"

    def digits(self, count: int) -> str:
        """A number of that many digits."""
        return "".join(str(self.dice.randrange(10)) for _ in range(count))

    def address(self) -> str:
        """Where a made-up person lives."""
        return f"{self.dice.randrange(1, 99)} {self.dice.choice(STREETS)}, {self.dice.choice(TOWNS)}"


def facts(dice: Random, part: Part) -> Facts:
    """Draw the purchase that one screen is about."""
    return Facts(
        dice=dice,
        part=part,
        currency=dice.choice(("£", "$", "€")),
        shop=dice.choice(SHOPS),
        order=f"{dice.choice(('EX-', 'No. ', '#'))}{dice.randrange(100_000, 999_999)}",
        person=dice.choice(PEOPLE),
    )
