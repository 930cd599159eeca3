"""Blocks of made-up phone screens by name: what a screen is shows in its blocks as much as in its words."""

from collections.abc import Callable

from kdsl.demo.miniature import blocks_drawn as drawn
from kdsl.demo.miniature import blocks_written as written
from kdsl.demo.miniature.pen import Pen
from kdsl.demo.miniature.screens import Kind

BLOCKS: dict[str, Callable[[Pen, Kind], None]] = {
    **{
        "headline": written.headline,
        "text": written.text,
        "pairs": written.pairs,
        "list": written.list_,
        "moves": written.list_,
        "button": written.button,
    },
    **{
        "wide": written.wide,
        "item": drawn.item,
        "cards": drawn.cards,
        "tabs": written.tabs,
        "chips": written.chips,
        "timeline": drawn.timeline,
    },
    **{
        "steps": drawn.steps,
        "map": drawn.map_,
        "fullmap": lambda pen, kind: drawn.map_(pen, kind, 0.7),
        "radio": written.radio,
        "form": written.form,
    },
    **{
        "tickets": drawn.tickets,
        "picture": drawn.picture,
        "price": written.price,
        "stars": written.stars,
        "grid": drawn.grid,
        "bubbles": written.bubbles,
    },
    **{
        "input": written.input_,
        "people": drawn.people,
        "foot": drawn.foot,
        "icon": drawn.icon,
        "menu": written.menu,
        "switches": written.switches,
    },
    **{
        "calendar": written.calendar,
        "chart": drawn.chart,
        "code": drawn.code,
        "post": drawn.post,
        "opinions": written.opinions,
        "player": drawn.player,
    },
    **{"avatar": drawn.icon, "address": written.text},
}
