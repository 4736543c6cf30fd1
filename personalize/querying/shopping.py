"""
Leaves about what the guest bought and has in the cart, by the rules of `tracking.purchases`.

Orders that were cancelled are no orders, and amounts in other currencies than the client's count
nothing. The cart is the one that was changed last: there is no visit that another could be of.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from personalize.conditions import Leaf
from personalize.querying import bounds
from personalize.querying.dialect import Dialect, Number, number_relation
from personalize.querying.members import rows_of
from personalize.querying.sql import FALSE, TRUE, UNDECIDED, Sql, inexact, param, sql
from personalize.querying.values import list_test, moment_test, whole_test
from tracking import money
from tracking.purchases import MOST_ORDERS, UNCOUNTED_STATUS
from tracking.types import ClientConfig

Build = Callable[[Leaf, Dialect, ClientConfig, datetime], Sql]


def part_of(leaf: Leaf, dialect: Dialect, client: ClientConfig, *, now: datetime) -> Sql:
    """Return the test of a leaf about orders or the cart."""
    build = _PARTS.get(leaf.field.name)
    if build is None or leaf.field.read is not None:
        return UNDECIDED
    return build(leaf, dialect, client, now)


# --- Orders ----------------------------------------------------------------------------


def _orders(dialect: Dialect) -> Sql:
    counted = sql("o.status <> {uncounted}", uncounted=param(UNCOUNTED_STATUS))
    return sql(
        f"(SELECT o.* FROM {{rows}} ORDER BY o.ordered_at DESC, o.id DESC LIMIT {MOST_ORDERS}) o",
        rows=rows_of("tracking_order", "o", dialect, counted),
    )


def _items(dialect: Dialect) -> Sql:
    return sql(
        "(SELECT i.item_id FROM {orders} "
        "CROSS JOIN tracking_orderitem i WHERE i.order_id = o.id) i",
        orders=_orders(dialect),
    )


def _count(leaf: Leaf, dialect: Dialect, client: ClientConfig, now: datetime) -> Sql:
    return sql(
        "(SELECT {test} FROM (SELECT COUNT(*) AS number FROM {orders}) n)",
        test=whole_test(leaf, Sql("n.number")),
        orders=_orders(dialect),
    )


def _revenue(leaf: Leaf, dialect: Dialect, client: ClientConfig, now: datetime) -> Sql:
    return _amount(leaf, dialect, client, is_average=False)


def _average(leaf: Leaf, dialect: Dialect, client: ClientConfig, now: datetime) -> Sql:
    return _amount(leaf, dialect, client, is_average=True)


def _amount(leaf: Leaf, dialect: Dialect, client: ClientConfig, *, is_average: bool) -> Sql:
    name = leaf.operator.name
    if name in ("exists", "is_missing") and not is_average:
        return TRUE if name == "exists" else FALSE
    if name in ("exists", "is_missing"):
        test = Sql("n.number > 0" if name == "exists" else "n.number = 0")
    else:
        number = "n.number" if is_average else "1"
        test = _amount_relation(leaf, Sql("n.total"), number, client)
        if not dialect.adds_exactly:
            test = inexact(sql(f"CASE WHEN n.size < {2**53} THEN {{test}} END", test=test))
        if is_average:
            test = sql("CASE WHEN n.number = 0 THEN FALSE ELSE {test} END", test=test)
    return sql(
        "(SELECT {test} FROM (SELECT COUNT(a.kept) AS number, {total} AS total, {size} AS size "
        "FROM (SELECT CASE WHEN o.currency = {currency} "
        "THEN CAST(o.total AS numeric) - o.refunded END AS kept FROM {orders}) a) n)",
        test=test,
        total=dialect.total("a.kept"),
        size=dialect.total("ABS(a.kept + 0.0)"),
        currency=param(client.currency),
        orders=_orders(dialect),
    )


def _amount_relation(leaf: Leaf, total: Sql, number: str, client: ClientConfig) -> Sql:
    """Compare an amount of minor units, of so many orders, with the operand's whole units."""
    exponent = money.exponent(client.currency)

    def bound(operand: Number, relation: str) -> Sql:
        around = bounds.minor_units(operand, exponent)
        if around is None:
            return UNDECIDED
        below, above = around
        if below == above:
            return sql(f"{{total}} {relation} {above} * {number}", total=total)
        if number == "1":
            return sql(f"{{total}} >= {above}", total=total)
        return inexact(
            sql(
                f"CASE WHEN {{total}} >= {above} * {number} THEN TRUE "
                f"WHEN {{total}} <= {below} * {number} THEN FALSE END",
                total=total,
            )
        )

    relation = number_relation(
        leaf.operator.name,
        leaf.operand,
        lambda operand: bound(operand, ">="),
        lambda operand: bound(operand, ">"),
    )
    return relation or UNDECIDED


def _last_order(leaf: Leaf, dialect: Dialect, client: ClientConfig, now: datetime) -> Sql:
    name = leaf.operator.name
    if name in ("exists", "is_missing"):
        test = Sql("n.moment IS NOT NULL" if name == "exists" else "n.moment IS NULL")
    else:
        compared = moment_test(leaf, Sql("n.moment"), dialect, now=now)
        test = sql("CASE WHEN n.moment IS NULL THEN FALSE ELSE {it} END", it=compared)
    return sql(
        "(SELECT {test} FROM (SELECT MAX(o.ordered_at) AS moment FROM {orders}) n)",
        test=test,
        orders=_orders(dialect),
    )


def _products(leaf: Leaf, dialect: Dialect, client: ClientConfig, now: datetime) -> Sql:
    return list_test(leaf, _items(dialect), Sql("i.item_id"), dialect)


def _categories(leaf: Leaf, dialect: Dialect, client: ClientConfig, now: datetime) -> Sql:
    """Only the catalogue knows categories, wherever it is kept; of no items there are none."""
    if leaf.operator.type != "list":
        return list_test(leaf, _items(dialect), Sql("i.item_id"), dialect)
    of_nothing = "TRUE" if leaf.operator.negative else "FALSE"
    found = f"CASE WHEN EXISTS (SELECT 1 FROM {{items}}) THEN NULL ELSE {of_nothing} END"
    return inexact(sql(found, items=_items(dialect)))


# --- The cart --------------------------------------------------------------------------


def _carts(dialect: Dialect) -> Sql:
    return sql(
        "(SELECT c.* FROM {rows} ORDER BY c.changed_at DESC, c.id DESC LIMIT 1) c",
        rows=rows_of("tracking_cart", "c", dialect),
    )


def _cart_value(leaf: Leaf, dialect: Dialect, client: ClientConfig, now: datetime) -> Sql:
    if leaf.operator.type != "number":
        return whole_test(leaf, Sql("0"))
    amount = sql(
        "(SELECT CASE WHEN j.k = 'number' THEN {number} END FROM {source} j)",
        number=dialect.number_of("j")[0],
        source=dialect.values(Sql('c."values"'), [[client.currency]]),
    )
    return sql(
        "(SELECT {test} FROM (SELECT COALESCE((SELECT {amount} FROM {carts}), 0) AS total) n)",
        test=_amount_relation(leaf, Sql("n.total"), "1", client),
        amount=amount,
        carts=_carts(dialect),
    )


def _cart_items(leaf: Leaf, dialect: Dialect, client: ClientConfig, now: datetime) -> Sql:
    return sql(
        "(SELECT {test} FROM "
        "(SELECT COALESCE(SUM(CAST({quantity} AS numeric)), 0) AS number FROM {lines}) n)",
        test=whole_test(leaf, Sql("n.number")),
        quantity=dialect.entry("quantity"),
        lines=_lines(dialect),
    )


def _cart_products(leaf: Leaf, dialect: Dialect, client: ClientConfig, now: datetime) -> Sql:
    return list_test(leaf, _lines(dialect), dialect.entry("id"), dialect)


def _lines(dialect: Dialect) -> Sql:
    return sql(f"{{carts}} {dialect.entries_of('c.lines')}", carts=_carts(dialect))


_PARTS: Final[dict[str, Build]] = {
    "orders.count": _count,
    "orders.revenue": _revenue,
    "orders.averageValue": _average,
    "orders.lastAt": _last_order,
    "orders.products": _products,
    "orders.categories": _categories,
    "cart.value": _cart_value,
    "cart.items": _cart_items,
    "cart.products": _cart_products,
}
