"""Commerce in words: what somebody did with items, and amounts of money, as people write them."""

from collections.abc import Mapping, Sequence

from django.utils.formats import number_format
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from tracking import money
from tracking.commerce import folding
from tracking.commerce.vocabulary import Act, Line, Verb
from tracking.types import ItemKey

_MOST_ITEMS = 4


def amount(minor: int | None, currency: str) -> str:
    """Write an amount of minor units as the reader's language does; nothing where none is known."""
    if minor is None or currency not in money.EXPONENTS:
        return ""
    return money.told(minor, currency, locale=get_language() or "en")


def amounts(sums: Mapping[str, int]) -> str:
    """Write what something comes to in each currency: €12.00 + $3.00."""
    return " + ".join(amount(sum, currency) for currency, sum in sorted(sums.items()))


def items(lines: Sequence[Line], names: Mapping[ItemKey, str]) -> str:
    """Name the items of lines: by their names, where those are known, else by their ids."""
    told = []
    for line in lines[:_MOST_ITEMS]:
        name = line.name or names.get(line.item) or _("item %(id)s") % {"id": line.item.id}
        told.append(name if line.quantity == 1 else f"{number_format(line.quantity)} × {name}")
    return ", ".join(told) + (", …" if len(lines) > _MOST_ITEMS else "")


def tell(act: Act, names: Mapping[ItemKey, str]) -> tuple[str, str]:
    """Return what somebody did as a sentence, and the detail for who asks."""
    told = items(act.lines, names)
    return _sentence(act, told) or act.verb.capitalize(), _detail(act)


def _sentence(act: Act, told: str) -> str:
    price = amounts(folding.totals(act.lines)) or _facts_total(act)
    sentences = {
        Verb.VIEW: _("Viewed %(items)s"),
        Verb.LIST: _("Viewed the list “%(text)s”") if act.text else _("Viewed a list"),
        Verb.SEARCH: _("Searched for “%(text)s”") if act.text else _("Searched"),
        Verb.ADD: _("Added %(items)s to the cart"),
        Verb.REMOVE: _("Removed %(items)s from the cart"),
        Verb.CLEAR: _("Emptied the cart"),
        Verb.WISH: _("Added %(items)s to the wishlist"),
        Verb.UNWISH: _("Removed %(items)s from the wishlist"),
        Verb.CONFIRM: _("Confirmed %(items)s") if told else _("Confirmed the cart"),
        Verb.CHECKOUT: _("Checked out order %(order)s") if act.order_id else _("Checked out"),
        Verb.PAY: _("Paid order %(order)s") if act.order_id else _("Paid"),
        Verb.BUY: _("Bought %(items)s for %(price)s") if price else _("Bought %(items)s"),
        Verb.CHANGE: _("Changed order %(order)s"),
        Verb.REFUND: _("Got order %(order)s refunded"),
        Verb.CANCEL: _("Cancelled order %(order)s"),
        Verb.RATE: _("Rated %(items)s with %(rating)s"),
        Verb.CONSUME: _("Consumed %(percentage)s of %(items)s"),
        Verb.DISLIKE: _("Does not want %(items)s"),
        Verb.OWN: _("Owns %(items)s"),
    }
    return sentences[act.verb] % {
        "items": told,
        "text": act.text,
        "order": act.order_id,
        "price": price,
        "rating": "-" if act.rating is None else number_format(f"{act.rating:g}"),
        "percentage": _("%(number)s %%") % {"number": act.percentage},
    }


def _facts_total(act: Act) -> str:
    return amount(act.facts.total, act.facts.currency) if act.facts else ""


def _detail(act: Act) -> str:
    if act.verb in (Verb.ADD, Verb.WISH, Verb.VIEW):
        prices = [amount(line.price, line.currency) for line in act.lines]
        paths = [path for line in act.lines for path in line.categories]
        return ", ".join([price for price in prices if price] + paths)
    if act.verb is Verb.BUY and act.order_id:
        return _("order %(order)s") % {"order": act.order_id}
    if act.verb is Verb.PAY and act.facts:
        return " ".join(filter(None, (act.facts.payment_type, act.facts.card_type)))
    return ""
