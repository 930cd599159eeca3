"""Everything in a made-up dialogue that is not its intent: greetings, background, agents, and matters out of scope."""

GREETING = (
    "[Hi|Hello|Hey|Good morning|Good evening][|!|,| there]",
    "Hello, is [anyone|somebody] there?",
    "[Hi|Hello], can you help me?",
    "Hey, quick question",
    "Good day, I have a [question|problem] with [my order|a {thing}].",
    "Am I talking to a person?",
)
BACKGROUND = (
    "I [bought|ordered] a {colour} {thing} {ago}.",
    "It's about [order {order}|my {thing}|the {thing} from {day}].",
    "My order number is {order}.",
    "I am [writing|asking] for my [mother|husband|neighbour|office].",
    "I already [wrote|called] on {day} and got no answer.",
    "I've been a customer for years.",
    "The {thing} is a birthday present.",
    "I paid {amount} with my card, order {order}.",
    "I looked at the help page [but found nothing|and gave up].",
    "It was sent with {carrier} I think.",
)
SOLVED = (
    "My [last parcel|other parcel] came fine by the way, thanks.",
    "The refund from last time is here, thank you.",
    "The coupon you gave me worked, great.",
    "The new {thing} works well, thanks for the quick swap.",
    "You changed my address last time, that was kind.",
    "I returned a {thing} last month, all went well.",
    "Last time my card made trouble but that's solved.",
    "I cancelled the other order myself already.",
)
NEXT = ("[Now|This time]", "[But now|And today]", "Something else:", "One more thing:", "So, today:")
NUMBER = (
    "{order}",
    "It's {order}.",
    "[Order|Number] {order}, name {name}",
    "sure, {order}",
    "I only have {order}, is that it?",
    "{name}, {order}",
)
THANKS = (
    "[Ok|Okay|Fine], [thanks|thank you|cheers].",
    "[Thanks|Great], that helps.",
    "Ok I'll wait.",
    "Hm. Fine.",
    "Please hurry.",
    "And how long will that take?",
    "Is that all you can do?",
    "[Hello?|Are you still there?]",
    "ok",
    "??",
)
PRODDED = ("[No.|No,|Not really.|That's not it.|Hmm no.]", "You misunderstand.", "I said something else.", "")
SHOW = ("[here is|see] a [picture|screenshot] <image>", "<image>", "<image> look", "[like this|this one] <image>")

AGENT_HELLO = (
    "[Hello|Hi|Welcome], this is {agent} from the shop. How can I help?",
    "Good day! What can I do for you?",
    "Thanks for waiting, {agent} here.",
    "Hello! Is it about a delivery, a refund or a coupon?",
    "Welcome to the help chat. Please tell us your order number and what happened.",
)
AGENT_ASKS = (
    "Could you give me the order number?",
    "May I have your order number and name, please?",
    "Which order is it about?",
    "I see. Can you tell me a bit more?",
    "Let me look. Is it order {order}?",
)
AGENT_CLOSES = (
    "Thank you, I have passed it on. You will hear from us by {day}.",
    "I will look into it right away.",
    "Done. Is there anything else?",
    "We're sorry for the trouble. Here is a coupon for your next order.",
    "I've noted it. If you want to cancel or return anything, use the order page.",
    "Our payment team and the warehouse will check this.",
    "Please allow two working days.",
    "",
)

OUT_OF_SCOPE = (
    "Are you hiring? I'd like to [work|apply] in the warehouse.",
    "I [write a school paper|run a blog] about shops, can I [ask some questions|have an interview]?",
    "How do I [delete|close] my account?",
    "I forgot my password and the reset mail is not for me.",
    "Do you [sell|have] [garden fences|snow tyres|live plants]?",
    "Is the {thing} [made of wool|safe for the dishwasher|good for a child of five]?",
    "What are the opening hours of your shop in town?",
    "I am a [supplier|wholesaler] and want to offer you [boxes|socks].",
    "Your app is [too bright|hard to read], please add larger letters.",
    "I just wanted to say your packaging is lovely.",
    "Please take me off your newsletter list.",
    "How many watts does the {thing} have?",
    "Sorry, wrong chat, I meant my [bank|landlord|dentist].",
    "Tell me a joke.",
    "Do you sponsor [football clubs|village fairs]?",
    "Can I get a paper catalogue?",
    "asdf asdf",
    "Which {thing} would you [recommend|choose] for my [aunt|boat]?",
    "Is the {thing} in {colour} coming back into stock?",
    "How do you use my data, and who sees it?",
)

VALUES: dict[str, tuple[str, ...]] = {
    "thing": (
        *("kettle", "lamp", "jacket", "pair of boots", "backpack", "mug set", "blender", "scarf", "desk chair"),
        *("headset", "toaster", "raincoat", "tent", "clock", "phone case", "rug", "teapot", "sweater", "keyboard"),
        *("puzzle", "suitcase", "coffee grinder", "shirt", "curtain", "bike light", "yoga mat", "vase", "umbrella"),
    ),
    "colour": ("blue", "green", "red", "grey", "black", "white", "yellow", "dark blue", "beige", "purple"),
    "day": (
        *("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "the 3rd", "the 12th", "the 21st"),
        *("last week", "next week", "the weekend", "the day before yesterday"),
    ),
    "ago": (
        "a week ago",
        "two weeks ago",
        "ten days ago",
        "last month",
        "on the 2nd",
        "ages ago",
        "before the holidays",
    ),
    "ago_short": ("an hour ago", "this morning", "yesterday", "last night", "ten minutes ago", "just now"),
    "ago_long": ("two weeks", "ten days", "almost a month", "nine days", "three weeks", "a whole week"),
    "carrier": ("Swiftvan", "Postbird", "Parcelo", "the courier", "Northhaul"),
    "size": ("S", "L", "XL", "38", "42", "44"),
    "voucher": ("SPRING10", "HELLO5", "WELCOME15", "TEA20", "COSY10"),
    "name": ("A. Example", "Mia Sample", "J. Placeholder", "Tom Specimen", "Nora Muster"),
    "agent": ("Lin", "Sam", "Ada", "Noor", "Kim"),
    "code": ("402", "E17", "51", "3DS-8"),
}
