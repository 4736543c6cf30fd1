"""PURE. What kind of device a user agent is: mobile, tablet, desktop, bot, or unknown."""

_BOTS = (
    "bot", "crawl", "spider", "slurp", "headlesschrome", "lighthouse", "preview", "curl/",
    "wget/", "python-requests", "python-urllib", "facebookexternalhit", "monitor",
)  # fmt: skip
_TABLETS = ("ipad", "tablet", "kindle", "silk/", "playbook")
_DESKTOPS = ("windows nt", "macintosh", "x11", "cros ")


def device(user_agent: str) -> str:
    """Return the kind of device. Server-side callers, which name no browser, are unknown."""
    agent = user_agent.lower()
    if any(mark in agent for mark in _BOTS):
        return "bot"
    if any(mark in agent for mark in _TABLETS) or ("android" in agent and "mobile" not in agent):
        return "tablet"
    if "mobile" in agent or "iphone" in agent:
        return "mobile"
    if any(mark in agent for mark in _DESKTOPS):
        return "desktop"
    return "unknown"
