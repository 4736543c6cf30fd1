"""The host's PERSONALIZE dict as one typed value, read lazily through `conf.settings()`."""

from dataclasses import dataclass

from tracking.conf import HostDict


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Every key of PERSONALIZE, with its default."""

    # A page waits no longer for its content than this; it shows its default then.
    PAGE_DEADLINE_MS: int = 400
    # Early exits are counted in memory and written at most this often; 0: with every call.
    EXIT_COUNT_SECONDS: float = 10.0
    # How long a call waits for each of the site's own sources that its conditions name, and how
    # long one that was slower is not asked again.
    SOURCE_DEADLINE_MS: int = 200
    SOURCE_REST_SECONDS: float = 10.0
    MAX_CALL_BYTES: int = 32 * 1024
    # Address of a script that SDKs load into pages when web personalization is on; "" is off.
    WEB_LIBRARY_URL: str = ""
    # Segments about the site's own tables are built anew this often; 0: never.
    SEGMENT_REFRESH_MINUTES: float = 60.0
    # The weights of optimized experiments follow their results this often; 0: never.
    BANDIT_HOURS: float = 6.0
    # What is believed of a relative lift before any guest came: normal about 0 with this standard
    # deviation; 0: nothing is. The chance to win, credible intervals and losses start from it.
    LIFT_PRIOR_DEVIATION: float = 0.0
    RETAIN_EXECUTIONS_DAYS: int = 90
    # Why each run ran: what was known of the guest then, so shorter is better for privacy.
    RETAIN_DECISIONS_DAYS: int = 90
    # Who is in a segment stays however long that is; who left it is known this long.
    RETAIN_SEGMENT_HISTORY_DAYS: int = 365


settings = HostDict("PERSONALIZE", Settings)
