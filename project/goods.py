"""What the demo shop sells, and what it knows of mailboxes."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Product:
    """One thing on the shelf; `picture` and `tint` choose its drawing."""

    slug: str
    sku: str
    name: str
    kind: str
    price: str
    picture: str
    tint: str
    about: str


PRODUCTS = (
    Product(
        "running-shoes-swift",
        "SHOE-SWIFT",
        "Swift running shoes",
        "SHOES",
        "129.00",
        "shoe",
        "teal",
        "Light and quick, for the road and for personal bests.",
    ),
    Product(
        "running-shoes-ridge",
        "SHOE-RIDGE",
        "Ridge trail running shoes",
        "SHOES",
        "149.00",
        "shoe",
        "moss",
        "A grip that forgives mud, roots and optimism.",
    ),
    Product(
        "cool-shoes",
        "coolshoes-123",
        "Cool Shoes",
        "SHOES",
        "139.99",
        "shoe",
        "red",
        "Made for standing around in, and very good at it.",
    ),
    Product(
        "breeze-shirt",
        "SHIRT-BREEZE",
        "Breeze shirt",
        "SHIRTS",
        "39.00",
        "shirt",
        "sky",
        "Dries faster than the kettle boils.",
    ),
    Product(
        "harbour-shirt",
        "SHIRT-HARBOUR",
        "Harbour shirt",
        "SHIRTS",
        "54.00",
        "shirt",
        "plum",
        "For mornings that have not made up their mind.",
    ),
    Product(
        "brook-bottle",
        "BOTTLE-BROOK",
        "Brook bottle",
        "EXTRAS",
        "19.00",
        "bottle",
        "sand",
        "Half a litre, one hand, no dripping.",
    ),
    Product(
        "noon-cap",
        "CAP-NOON",
        "Noon cap",
        "EXTRAS",
        "24.00",
        "cap",
        "sun",
        "Keeps the sun where it belongs.",
    ),
    Product(
        "dusk-cap",
        "CAP-DUSK",
        "Dusk reflective cap",
        "EXTRAS",
        "29.00",
        "cap",
        "night",
        "Seen from a hundred metres off.",
    ),
)

BY_SLUG = {product.slug: product for product in PRODUCTS}
BY_SKU = {product.sku: product for product in PRODUCTS}

#: Where people have mailboxes of their own.
FREE_MAILERS = ("@gmail.com", "@gmx.net", "@outlook.com", "@proton.me")
