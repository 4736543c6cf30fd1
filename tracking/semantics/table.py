"""
The table of semantic events: what each is called, what its properties are, and how it is told.

Source: Segment's specs of e-commerce, mobile, e-mail, A/B testing, live chat
and video events, whose names Customer.io's spec keeps. No property is ever
required. The first of an event's sentences whose places can all be filled is
the one that is told; the last has none. Properties stand in the order in which
they interest a reader.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from tracking.semantics.kinds import (
    BOOLEAN,
    CURRENCY,
    DATE,
    ID,
    IDS,
    INTEGER,
    MONEY,
    NUMBER,
    TEXT,
    TEXTS,
    URL,
    Kind,
    having,
    list_of,
    one_of,
)

Spec: TypeAlias = Literal["ecommerce", "mobile", "email", "ab_testing", "live_chat", "video"]
Properties: TypeAlias = Mapping[str, Kind]


@dataclass(frozen=True, slots=True)
class SemanticEvent:
    """A row of the table. `sentences` have places for properties and for WORDS."""

    name: str
    spec: Spec
    properties: Properties
    sentences: tuple[str, ...]


def _(message: str) -> str:
    """Mark a text for translation. Whoever shows it translates it."""
    return message


#: Places that any of several properties fills: the first that was sent.
WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "product": ("name", "sku", "product_id"),
    "amount": ("total", "revenue", "value"),
    "list": ("category", "list_id"),
    "promotion": ("name", "creative", "promotion_id"),
    "coupon_code": ("coupon_name", "coupon_id"),
    "letter": ("email_subject", "campaign_name"),
    "letters": ("list_name", "campaign_name"),
    "experiment": ("experiment_name", "experiment_id"),
    "variation": ("variation_name", "variant_name", "variation_id", "variant_id"),
    "agent": ("agent_name", "agent_username"),
}
#: The place of how far somebody has watched, in percent: of `position` and `total_length`.
PROGRESS: Final = "progress"

# --- Properties that several events have -------------------------------------------------------

PRODUCT: Final[Properties] = {
    "name": TEXT,
    "brand": TEXT,
    "variant": TEXT,
    "price": MONEY,
    "quantity": NUMBER,
    "coupon": TEXT,
    "category": TEXT,
    "position": NUMBER,
    "product_id": ID,
    "sku": ID,
    "url": URL,
    "image_url": URL,
}
_SHARED_PRODUCT: Final = {
    name: kind for name, kind in PRODUCT.items() if name not in ("quantity", "coupon", "position")
}
_PRODUCTS: Final = list_of(PRODUCT)
_CART: Final[Properties] = {"cart_id": ID}
_WISHLIST: Final[Properties] = {"wishlist_name": TEXT, "wishlist_id": ID}
_PROMOTION: Final[Properties] = {
    "name": TEXT,
    "creative": TEXT,
    "position": TEXT,
    "promotion_id": ID,
}
_STEP: Final[Properties] = {
    "step": NUMBER,
    "shipping_method": TEXT,
    "payment_method": TEXT,
    "checkout_id": ID,
}
_CHECKOUT: Final[Properties] = {
    "products": _PRODUCTS,
    "coupon": TEXT,
    "value": MONEY,
    "revenue": MONEY,
    "discount": MONEY,
    "shipping": MONEY,
    "tax": MONEY,
    "currency": CURRENCY,
    "affiliation": TEXT,
    "order_id": ID,
}
_ORDER: Final[Properties] = {
    "products": _PRODUCTS,
    "coupon": TEXT,
    "total": MONEY,
    "revenue": MONEY,
    "discount": MONEY,
    "shipping": MONEY,
    "tax": MONEY,
    "currency": CURRENCY,
    "affiliation": TEXT,
    "order_id": ID,
}
_COUPON: Final[Properties] = {
    "coupon_name": TEXT,
    "coupon_id": ID,
    "order_id": ID,
    "cart_id": ID,
}
_SHARING: Final[Properties] = {"share_via": TEXT, "share_message": TEXT, "recipient": TEXT}
_VERSION: Final[Properties] = {"version": TEXT, "build": TEXT}
_PUSH: Final[Properties] = {
    "campaign": having({"name": TEXT, "source": TEXT, "medium": TEXT, "content": TEXT})
}
_DEEP_LINK: Final[Properties] = {"url": URL, "provider": TEXT}
_EMAIL: Final[Properties] = {
    "email_subject": TEXT,
    "campaign_name": TEXT,
    "email_id": ID,
    "campaign_id": ID,
}
_CHAT: Final[Properties] = {
    "agent_name": TEXT,
    "agent_username": TEXT,
    "conversation_duration": NUMBER,
    "agent_id": ID,
    "conversation_id": ID,
    "message_id": ID,
}
_PLAYBACK: Final[Properties] = {
    "position": INTEGER,
    "total_length": INTEGER,
    "quality": TEXT,
    "video_player": TEXT,
    "method": TEXT,
    "full_screen": BOOLEAN,
    "livestream": BOOLEAN,
    "sound": INTEGER,
    "bitrate": INTEGER,
    "framerate": NUMBER,
    "ad_enabled": BOOLEAN,
    "ad_type": one_of("pre-roll", "mid-roll", "post-roll"),
    "session_id": ID,
    "content_asset_id": IDS,
    "content_asset_ids": IDS,
    "content_pod_id": IDS,
    "content_pod_ids": IDS,
    "ad_asset_id": IDS,
    "ad_pod_id": IDS,
}
_CONTENT: Final[Properties] = {
    "title": TEXT,
    "description": TEXT,
    "program": TEXT,
    "season": TEXT,
    "episode": TEXT,
    "genre": TEXT,
    "publisher": TEXT,
    "channel": TEXT,
    "keywords": TEXTS,
    "position": INTEGER,
    "total_length": INTEGER,
    "full_episode": BOOLEAN,
    "livestream": BOOLEAN,
    "airdate": DATE,
    "bitrate": INTEGER,
    "framerate": NUMBER,
    "session_id": ID,
    "asset_id": ID,
    "pod_id": ID,
}
_AD: Final[Properties] = {
    "title": TEXT,
    "publisher": TEXT,
    "type": one_of("pre-roll", "mid-roll", "post-roll"),
    "content": having(_CONTENT),
    "quartile": INTEGER,
    "position": INTEGER,
    "total_length": INTEGER,
    "pod_position": INTEGER,
    "pod_length": INTEGER,
    "load_type": one_of("linear", "dynamic"),
    "session_id": ID,
    "asset_id": ID,
    "pod_id": ID,
}

# --- The table ---------------------------------------------------------------------------------

EVENTS: Final[tuple[SemanticEvent, ...]] = (
    SemanticEvent(
        "Products Searched",
        "ecommerce",
        {"query": TEXT},
        (_("Searched the products for “%(query)s”"), _("Searched the products")),
    ),
    SemanticEvent(
        "Product List Viewed",
        "ecommerce",
        {"category": TEXT, "products": _PRODUCTS, "list_id": ID},
        (_("Viewed the products in “%(list)s”"), _("Viewed a list of products")),
    ),
    SemanticEvent(
        "Product List Filtered",
        "ecommerce",
        {
            "category": TEXT,
            "filters": list_of({"type": TEXT, "value": TEXT}),
            "sorts": list_of({"type": TEXT, "value": TEXT}),
            "products": _PRODUCTS,
            "list_id": ID,
        },
        (_("Filtered the products in “%(list)s”"), _("Filtered a list of products")),
    ),
    SemanticEvent(
        "Promotion Viewed",
        "ecommerce",
        _PROMOTION,
        (_("Saw the promotion “%(promotion)s”"), _("Saw a promotion")),
    ),
    SemanticEvent(
        "Promotion Clicked",
        "ecommerce",
        _PROMOTION,
        (_("Clicked the promotion “%(promotion)s”"), _("Clicked a promotion")),
    ),
    SemanticEvent(
        "Product Clicked",
        "ecommerce",
        PRODUCT,
        (_("Clicked %(product)s"), _("Clicked a product")),
    ),
    SemanticEvent(
        "Product Viewed",
        "ecommerce",
        {**PRODUCT, "value": MONEY, "currency": CURRENCY},
        (_("Viewed %(product)s"), _("Viewed a product")),
    ),
    SemanticEvent(
        "Product Added",
        "ecommerce",
        {**PRODUCT, **_CART},
        (_("Added %(product)s to the cart"), _("Added something to the cart")),
    ),
    SemanticEvent(
        "Product Removed",
        "ecommerce",
        {**PRODUCT, **_CART},
        (_("Removed %(product)s from the cart"), _("Removed something from the cart")),
    ),
    SemanticEvent(
        "Cart Viewed",
        "ecommerce",
        {"products": _PRODUCTS, **_CART},
        (_("Viewed the cart"),),
    ),
    SemanticEvent(
        "Checkout Started",
        "ecommerce",
        _CHECKOUT,
        (_("Started the checkout of %(amount)s"), _("Started the checkout")),
    ),
    SemanticEvent(
        "Checkout Step Viewed",
        "ecommerce",
        _STEP,
        (_("Viewed step %(step)s of the checkout"), _("Viewed a step of the checkout")),
    ),
    SemanticEvent(
        "Checkout Step Completed",
        "ecommerce",
        _STEP,
        (_("Completed step %(step)s of the checkout"), _("Completed a step of the checkout")),
    ),
    SemanticEvent(
        "Payment Info Entered",
        "ecommerce",
        {**_STEP, "order_id": ID},
        (_("Entered how to pay"),),
    ),
    SemanticEvent(
        "Order Updated",
        "ecommerce",
        _ORDER,
        (
            _("Changed order %(order_id)s to %(amount)s"),
            _("Changed order %(order_id)s"),
            _("Changed an order"),
        ),
    ),
    SemanticEvent(
        "Order Completed",
        "ecommerce",
        {**_ORDER, "subtotal": MONEY, "checkout_id": ID},
        (
            _("Completed order %(order_id)s for %(amount)s"),
            _("Completed an order for %(amount)s"),
            _("Completed order %(order_id)s"),
            _("Completed an order"),
        ),
    ),
    SemanticEvent(
        "Order Refunded",
        "ecommerce",
        {"products": _PRODUCTS, "total": MONEY, "currency": CURRENCY, "order_id": ID},
        (
            _("Got %(amount)s back for order %(order_id)s"),
            _("Got order %(order_id)s refunded"),
            _("Got an order refunded"),
        ),
    ),
    SemanticEvent(
        "Order Cancelled",
        "ecommerce",
        _ORDER,
        (
            _("Cancelled order %(order_id)s for %(amount)s"),
            _("Cancelled order %(order_id)s"),
            _("Cancelled an order"),
        ),
    ),
    SemanticEvent(
        "Coupon Entered",
        "ecommerce",
        {"coupon_id": ID, "order_id": ID, "cart_id": ID},
        (_("Entered the coupon “%(coupon_id)s”"), _("Entered a coupon")),
    ),
    SemanticEvent(
        "Coupon Applied",
        "ecommerce",
        {**_COUPON, "discount": MONEY},
        (_("Used the coupon “%(coupon_code)s”"), _("Used a coupon")),
    ),
    SemanticEvent(
        "Coupon Denied",
        "ecommerce",
        {**_COUPON, "reason": TEXT},
        (_("Was denied the coupon “%(coupon_code)s”"), _("Was denied a coupon")),
    ),
    SemanticEvent(
        "Coupon Removed",
        "ecommerce",
        {**_COUPON, "discount": MONEY},
        (_("Took the coupon “%(coupon_code)s” back"), _("Took a coupon back")),
    ),
    SemanticEvent(
        "Product Added to Wishlist",
        "ecommerce",
        {**PRODUCT, **_WISHLIST},
        (
            _("Added %(product)s to the wishlist “%(wishlist_name)s”"),
            _("Added %(product)s to a wishlist"),
            _("Added something to a wishlist"),
        ),
    ),
    SemanticEvent(
        "Product Removed from Wishlist",
        "ecommerce",
        {**PRODUCT, **_WISHLIST},
        (
            _("Removed %(product)s from the wishlist “%(wishlist_name)s”"),
            _("Removed %(product)s from a wishlist"),
            _("Removed something from a wishlist"),
        ),
    ),
    SemanticEvent(
        "Wishlist Product Added to Cart",
        "ecommerce",
        {**PRODUCT, **_WISHLIST, **_CART},
        (
            _("Added %(product)s from the wishlist “%(wishlist_name)s” to the cart"),
            _("Added %(product)s from a wishlist to the cart"),
            _("Added something from a wishlist to the cart"),
        ),
    ),
    SemanticEvent(
        "Product Shared",
        "ecommerce",
        {**_SHARED_PRODUCT, **_SHARING},
        (
            _("Shared %(product)s by %(share_via)s"),
            _("Shared %(product)s"),
            _("Shared a product"),
        ),
    ),
    SemanticEvent(
        "Cart Shared",
        "ecommerce",
        {**_SHARING, "products": list_of({"product_id": ID}), **_CART},
        (_("Shared the cart by %(share_via)s"), _("Shared the cart")),
    ),
    SemanticEvent(
        "Product Reviewed",
        "ecommerce",
        {"rating": TEXT, "review_body": TEXT, "product_id": ID, "review_id": ID},
        (_("Reviewed %(product_id)s"), _("Reviewed a product")),
    ),
    SemanticEvent(
        "Application Installed",
        "mobile",
        _VERSION,
        (_("Installed version %(version)s of the app"), _("Installed the app")),
    ),
    SemanticEvent(
        "Application Opened",
        "mobile",
        {
            "from_background": BOOLEAN,
            "referring_application": TEXT,
            "url": URL,
            **_VERSION,
        },
        (_("Opened the app"),),
    ),
    SemanticEvent("Application Backgrounded", "mobile", {}, (_("Left the app"),)),
    SemanticEvent("Application Foregrounded", "mobile", {}, (_("Came back to the app"),)),
    SemanticEvent(
        "Application Updated",
        "mobile",
        {"previous_version": TEXT, "previous_build": TEXT, **_VERSION},
        (
            _("Updated the app from version %(previous_version)s to %(version)s"),
            _("Updated the app to version %(version)s"),
            _("Updated the app"),
        ),
    ),
    SemanticEvent("Application Uninstalled", "mobile", {}, (_("Uninstalled the app"),)),
    SemanticEvent("Application Crashed", "mobile", {}, (_("The app crashed"),)),
    SemanticEvent(
        "Install Attributed",
        "mobile",
        {
            "campaign": having(
                {
                    "name": TEXT,
                    "source": TEXT,
                    "medium": TEXT,
                    "content": TEXT,
                    "ad_creative": TEXT,
                    "ad_group": TEXT,
                }
            ),
            "provider": TEXT,
        },
        (_("Came to the app by “%(campaign)s”"), _("Came to the app by a campaign")),
    ),
    SemanticEvent(
        "Push Notification Received",
        "mobile",
        _PUSH,
        (_("Received the push notification “%(campaign)s”"), _("Received a push notification")),
    ),
    SemanticEvent(
        "Push Notification Tapped",
        "mobile",
        {"action": TEXT, **_PUSH},
        (_("Tapped the push notification “%(campaign)s”"), _("Tapped a push notification")),
    ),
    SemanticEvent(
        "Push Notification Bounced",
        "mobile",
        {"action": TEXT, **_PUSH},
        (
            _("The push notification “%(campaign)s” did not arrive"),
            _("A push notification did not arrive"),
        ),
    ),
    SemanticEvent(
        "Deep Link Opened",
        "mobile",
        _DEEP_LINK,
        (_("Opened the deep link %(url)s"), _("Opened a deep link")),
    ),
    SemanticEvent(
        "Deep Link Clicked",
        "mobile",
        _DEEP_LINK,
        (_("Clicked the deep link %(url)s"), _("Clicked a deep link")),
    ),
    SemanticEvent(
        "Email Bounced",
        "email",
        _EMAIL,
        (_("The e-mail “%(letter)s” did not arrive"), _("An e-mail did not arrive")),
    ),
    SemanticEvent(
        "Email Delivered",
        "email",
        _EMAIL,
        (_("Received the e-mail “%(letter)s”"), _("Received an e-mail")),
    ),
    SemanticEvent(
        "Email Link Clicked",
        "email",
        {"link_url": URL, **_EMAIL, "link_id": ID},
        (_("Clicked a link in the e-mail “%(letter)s”"), _("Clicked a link in an e-mail")),
    ),
    SemanticEvent(
        "Email Marked as Spam",
        "email",
        _EMAIL,
        (_("Marked the e-mail “%(letter)s” as spam"), _("Marked an e-mail as spam")),
    ),
    SemanticEvent(
        "Email Opened",
        "email",
        _EMAIL,
        (_("Opened the e-mail “%(letter)s”"), _("Opened an e-mail")),
    ),
    SemanticEvent(
        "Unsubscribed",
        "email",
        {"list_name": TEXT, **_EMAIL, "list_id": ID},
        (_("Unsubscribed from “%(letters)s”"), _("Unsubscribed")),
    ),
    SemanticEvent(
        "Experiment Viewed",
        "ab_testing",
        # Segment's names, and those that Customer.io's text says too.
        {
            "experiment_name": TEXT,
            "variation_name": TEXT,
            "variant_name": TEXT,
            "experiment_id": ID,
            "variation_id": ID,
            "variant_id": ID,
        },
        (
            _("Saw the experiment “%(experiment)s”, variant “%(variation)s”"),
            _("Saw the experiment “%(experiment)s”"),
            _("Saw an experiment"),
        ),
    ),
    SemanticEvent(
        "Live Chat Conversation Started",
        "live_chat",
        _CHAT,
        (_("Started a chat with %(agent)s"), _("Started a chat")),
    ),
    SemanticEvent(
        "Live Chat Conversation Ended",
        "live_chat",
        _CHAT,
        (_("Ended the chat with %(agent)s"), _("Ended the chat")),
    ),
    SemanticEvent(
        "Live Chat Message Sent",
        "live_chat",
        _CHAT,
        (_("Wrote to %(agent)s in the chat"), _("Wrote in the chat")),
    ),
    SemanticEvent(
        "Live Chat Message Received",
        "live_chat",
        _CHAT,
        (_("Heard from %(agent)s in the chat"), _("Got an answer in the chat")),
    ),
    SemanticEvent("Video Playback Started", "video", _PLAYBACK, (_("Started a video"),)),
    SemanticEvent(
        "Video Playback Paused",
        "video",
        _PLAYBACK,
        (_("Paused the video at %(progress)s"), _("Paused the video")),
    ),
    SemanticEvent(
        "Video Playback Interrupted",
        "video",
        _PLAYBACK,
        (_("The video was interrupted at %(progress)s"), _("The video was interrupted")),
    ),
    SemanticEvent(
        "Video Playback Buffer Started",
        "video",
        _PLAYBACK,
        (_("The video had to load at %(progress)s"), _("The video had to load")),
    ),
    SemanticEvent(
        "Video Playback Buffer Completed",
        "video",
        _PLAYBACK,
        (_("The video had loaded at %(progress)s"), _("The video had loaded")),
    ),
    SemanticEvent(
        "Video Playback Seek Started",
        "video",
        _PLAYBACK,
        (
            _("Left %(progress)s of the video for another place"),
            _("Looked for a place in the video"),
        ),
    ),
    SemanticEvent(
        "Video Playback Seek Completed",
        "video",
        _PLAYBACK,
        (_("Went to %(progress)s of the video"), _("Went to another place in the video")),
    ),
    SemanticEvent(
        "Video Playback Resumed",
        "video",
        _PLAYBACK,
        (_("Went on with the video at %(progress)s"), _("Went on with the video")),
    ),
    SemanticEvent(
        "Video Playback Completed", "video", _PLAYBACK, (_("Watched a video to its end"),)
    ),
    SemanticEvent(
        "Video Playback Exited",
        "video",
        _PLAYBACK,
        (_("Left the video at %(progress)s"), _("Left the video")),
    ),
    SemanticEvent(
        "Video Content Started",
        "video",
        _CONTENT,
        (_("Started watching “%(title)s”"), _("Started watching")),
    ),
    SemanticEvent(
        "Video Content Playing",
        "video",
        _CONTENT,
        (
            _("Watched “%(title)s” to %(progress)s"),
            _("Watched “%(title)s”"),
            _("Watched a video to %(progress)s"),
            _("Watched a video"),
        ),
    ),
    SemanticEvent(
        "Video Content Completed",
        "video",
        _CONTENT,
        (_("Watched “%(title)s” to its end"), _("Watched a video to its end")),
    ),
    SemanticEvent(
        "Video Ad Started",
        "video",
        _AD,
        (_("Saw the ad “%(title)s” begin"), _("Saw an ad begin")),
    ),
    SemanticEvent(
        "Video Ad Playing",
        "video",
        _AD,
        (
            _("Watched the ad “%(title)s” to %(progress)s"),
            _("Watched the ad “%(title)s”"),
            _("Watched an ad"),
        ),
    ),
    SemanticEvent(
        "Video Ad Completed",
        "video",
        _AD,
        (_("Watched the ad “%(title)s” to its end"), _("Watched an ad to its end")),
    ),
    SemanticEvent(
        "Video Quality Updated",
        "video",
        {"bitrate": INTEGER, "framerate": NUMBER, "startupTime": NUMBER, "droppedFrames": NUMBER},
        (_("The quality of the video changed"),),
    ),
)
