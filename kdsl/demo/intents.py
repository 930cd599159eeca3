"""What shoppers of the made-up shop want: the templates of all intents, in the order of the taxonomy."""

from kdsl.demo.intents_goods import AFTER_ARRIVAL
from kdsl.demo.intents_orders import BEFORE_ARRIVAL
from kdsl.demo.wish import Lines

INTENT_NAMES = (
    "where_is_my_order",
    "cancel_order",
    "return_item",
    "refund_status",
    "damaged_or_wrong_item",
    "change_order",
    "payment_problem",
    "coupon_question",
)
INTENTS: dict[str, Lines] = {name: (BEFORE_ARRIVAL | AFTER_ARRIVAL)[name] for name in INTENT_NAMES}
