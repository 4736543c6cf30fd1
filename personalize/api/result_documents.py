"""Results of flows in their public form: what is answered."""

from datetime import date
from typing import Annotated, Literal, TypeAlias
from uuid import UUID

import msgspec
from msgspec import Meta

from tracking.api.documents import Link

VerdictCode: TypeAlias = Annotated[
    Literal["COLLECTING", "UNHEALTHY", "SHIP", "KEEP_CONTROL", "NO_DIFFERENCE"],
    Meta(
        title="VerdictCode",
        description="COLLECTING: too early to say. UNHEALTHY: what was measured cannot be "
        "trusted, so no winner is named. SHIP: a variant won. KEEP_CONTROL: the variants are "
        "worse, or the winner does harm. NO_DIFFERENCE: the planned guests are there, and "
        "what was looked for is ruled out, or would have shown.",
    ),
]
Outcome: TypeAlias = Annotated[
    Literal["BETTER", "WORSE", "UNCLEAR"],
    Meta(title="Outcome", description="What the default view says of a variant by a goal."),
]
NoNumber: TypeAlias = Annotated[
    Literal[
        "TOO_FEW_GUESTS", "NO_DENOMINATOR", "NO_VARIANCE", "CONTROL_IS_ZERO",
        "CONTROL_NEAR_ZERO", "TOO_FEW_VALUES",
    ],
    Meta(title="NoNumber", description="Why there is no number."),
]  # fmt: skip


class VerdictDocument(msgspec.Struct, kw_only=True):
    """What to do."""

    code: VerdictCode
    sentence: Annotated[str, Meta(examples=["Ship Green: Signed up +12.3% (+2.0% to +22.6%)."])]
    variant: Annotated[UUID | None, Meta(description="The one to ship.")]
    daysLeft: int | None


class IntervalDocument(msgspec.Struct, kw_only=True):
    """From where to where an effect may be; without numbers, why there are none."""

    low: float | None
    high: float | None
    pValue: float | None
    reason: NoNumber | None


class CredibleDocument(msgspec.Struct, kw_only=True):
    """What is believed of an effect, with a flat prior."""

    low: float | None
    high: float | None
    expectedLoss: Annotated[
        float | None, Meta(description="What is lost on average by taking the variant.")
    ]


class EffectDocument(msgspec.Struct, kw_only=True):
    """An effect in three views."""

    estimate: float | None
    always: Annotated[
        IntervalDocument,
        Meta(description="The default view: valid however often it is looked at."),
    ]
    fixed: Annotated[
        IntervalDocument,
        Meta(description="The classical view: valid for one look, once all guests are there."),
    ]
    credible: CredibleDocument


class ComparisonDocument(msgspec.Struct, kw_only=True):
    """A variant against the control by one goal."""

    outcome: Outcome
    lift: Annotated[EffectDocument, Meta(description="Relative to the control: 0.1 is +10%.")]
    difference: Annotated[EffectDocument, Meta(description="In the goal's own units.")]
    controlMean: float | None
    chanceToWin: Annotated[
        float | None, Meta(description="That the variant is the better one, from 0 to 1.")
    ]
    pValue: Annotated[float | None, Meta(description="Of the default view.")]
    adjustedPValue: Annotated[
        float | None,
        Meta(description="The same, by Benjamini and Hochberg over all variants and goals."),
    ]
    fixedPValue: Annotated[float | None, Meta(description="Of the classical view.")]
    adjustedFixedPValue: float | None
    cupedSaved: Annotated[
        float,
        Meta(description="The share of variance that guests' own past explained, from 0 to 1."),
    ]


class GoalResultDocument(msgspec.Struct, kw_only=True):
    """What a variant came to by a goal."""

    goalRef: UUID
    name: str
    kind: str
    unit: Literal["SESSION", "GUEST"]
    direction: Literal["INCREASE", "DECREASE"]
    isPrimary: bool
    isGuardrail: bool
    total: Annotated[float, Meta(description="What was counted, in whole units.")]
    per: Annotated[float, Meta(description="What that is divided by: visits, guests, orders.")]
    mean: Annotated[float | None, Meta(description="A rate, a mean, or the quantile.")]
    cappedShare: Annotated[
        float, Meta(description="Of the guests, those who count for less than they came to.")
    ]
    funnelSteps: Annotated[
        list[int], Meta(description="Of a funnel, how many got as far as each step.")
    ]
    comparison: Annotated[
        ComparisonDocument | None, Meta(description="null for the control, or without one.")
    ]


class VariantResultDocument(msgspec.Struct, kw_only=True):
    """A variant, or who was held out: who saw it, and what came of it."""

    variantRef: UUID
    name: str
    isControl: bool
    isHeldOut: bool
    weight: float
    guests: int
    sessions: int
    executions: Annotated[int, Meta(description="In these days, of whichever phase.")]
    errors: int
    attributableShare: Annotated[
        float | None,
        Meta(description="Of the executions, those of a visit: others count for nothing."),
    ]
    latencyP50: Annotated[
        int | None, Meta(description="Milliseconds, at most; null: over a second, or none ran.")
    ]
    latencyP95: int | None
    goals: list[GoalResultDocument]


class MismatchDocument(msgspec.Struct, kw_only=True):
    """Whether the variants have the guests that their weights say."""

    found: bool
    p: Annotated[float, Meta(description="Of the chi-square test: right for one look.")]
    sequentialP: Annotated[float, Meta(description="Valid at any time; `found` rests on it.")]
    guests: list[int]
    expected: list[float]


class PlanDocument(msgspec.Struct, kw_only=True):
    """How far the experiment is."""

    guestsPerVariant: Annotated[
        int, Meta(description="As one look at the end, by the classical view, would need them.")
    ]
    enoughGuestsPerVariant: Annotated[
        int,
        Meta(
            description="As the default view needs them, which may be looked at whenever. Between "
            "the two numbers an experiment goes on unless what it looks for is ruled out."
        ),
    ]
    power: Annotated[
        float,
        Meta(
            description="The chance that the guests there are show what is looked for, by the "
            "default view."
        ),
    ]
    daysLeft: int | None


class OptimizedGoalDocument(msgspec.Struct, kw_only=True):
    """What a variant came to by a goal, each guest counted by the weight of their time."""

    goalRef: UUID
    name: str
    mean: float | None
    comparison: Annotated[
        ComparisonDocument | None, Meta(description="With the control; null: it is the control.")
    ]


class OptimizedVariantDocument(msgspec.Struct, kw_only=True):
    """A variant whose weight follows the results."""

    variantRef: UUID
    name: str
    isControl: bool
    share: Annotated[float, Meta(description="Of the guests who come now, from 0 to 1.")]
    chanceToBeBest: float | None
    guests: int
    goals: list[OptimizedGoalDocument]


class OptimizedDocument(msgspec.Struct, kw_only=True):
    """What came of a flow whose weights moved: plain intervals would be wrong for it."""

    note: str
    hasMismatch: Annotated[
        bool, Meta(description="In some period the guests do not fit its weights.")
    ]
    variants: list[OptimizedVariantDocument]


class MomentVariant(msgspec.Struct, kw_only=True):
    """A variant's effect by the primary goal, as it stood."""

    variantRef: UUID
    lift: EffectDocument
    difference: EffectDocument


class MomentDocument(msgspec.Struct, kw_only=True):
    """The effect by all who had come by the end of a day."""

    day: date
    variants: list[MomentVariant]


class DayGuestsDocument(msgspec.Struct, kw_only=True):
    """How many saw the flow first on a day, by the variant's ref."""

    day: date
    guests: dict[str, int]


class ResultsDocument(msgspec.Struct, kw_only=True):
    """What came of a flow."""

    flowRef: UUID
    friendlyId: str
    name: str
    phase: int
    phases: list[int]
    since: Annotated[date | None, Meta(description="As asked for by `from`.")]
    until: Annotated[date | None, Meta(description="As asked for by `to`.")]
    verdict: Annotated[VerdictDocument | None, Meta(description="null where nothing is compared.")]
    plan: PlanDocument | None
    srm: Annotated[MismatchDocument | None, Meta(description="Sample-ratio mismatch.")]
    optimized: Annotated[
        OptimizedDocument | None,
        Meta(description="Where results set the weights; verdict, plan and srm are null then."),
    ]
    variants: list[VariantResultDocument]
    mixedGuests: Annotated[
        int, Meta(description="Guests who saw several variants: they count for none.")
    ]
    attributableShare: float | None
    overTime: Annotated[
        list[MomentDocument],
        Meta(
            description="At the end of each day, or of sixty days at even distances. Empty where "
            "the primary goal is a quantile or has a percentile as cap."
        ),
    ]
    guestsByDay: list[DayGuestsDocument]
    isMeasuring: Annotated[
        bool, Meta(description="Goals are new, and what was seen before is still being measured.")
    ]
    frozenBefore: Annotated[
        date, Meta(description="Earlier days cannot be made again from the events.")
    ]
    allGuestsSince: Annotated[
        date,
        Meta(
            description="Quantiles, and goals with a percentile as cap, count guests who saw it "
            "first on this day or later: of those who came before, visitors have been deleted who "
            "stayed away."
        ),
    ]


class SliceVariant(msgspec.Struct, kw_only=True):
    """A variant within a part of the guests."""

    variantRef: UUID
    guests: int
    comparison: ComparisonDocument | None
    mean: float | None


class SliceDocument(msgspec.Struct, kw_only=True):
    """A part of the guests, by what they had at their first exposure."""

    part: Annotated[str, Meta(examples=["MOBILE"])]
    variants: list[SliceVariant]


class BreakdownDocument(msgspec.Struct, kw_only=True):
    """A flow's results by parts of its guests; adjusted p-values are so for all parts together."""

    by: str
    goalRef: Annotated[UUID | None, Meta(description="As asked for; null: the primary goal.")]
    parts: list[SliceDocument]
    allGuestsSince: Annotated[
        date,
        Meta(
            description="Guests who saw it first on this day or later are in it: of those who came "
            "before, visitors have been deleted who stayed away."
        ),
    ]


class DayNumbersDocument(msgspec.Struct, kw_only=True):
    """
    The guests who saw a variant first on a day, or what they came to by a goal.

    Days are those of first exposures, so rows can be added up.
    """

    day: date
    flowRef: UUID
    friendlyId: str
    phase: int
    variantRef: UUID
    variantName: Annotated[str, Meta(description="Empty for one that is gone.")]
    goalRef: Annotated[UUID | None, Meta(description="null: the row of the guests themselves.")]
    goalName: Annotated[str, Meta(description="Empty for one that is gone.")]
    step: Annotated[
        int | None, Meta(description="Of a funnel before its last step, counted from 1.")
    ]
    guests: Annotated[int, Meta(description="Of a goal, those who came to anything.")]
    sessions: int | None
    total: float | None
    per: Annotated[
        float | None,
        Meta(
            description="Of these guests, what their total is per: visits, orders, events. A rate "
            "is of all guests, whose visits are in the row without a goal."
        ),
    ]


class DayNumbersList(msgspec.Struct, kw_only=True):
    """A page of daily numbers, by flow and day."""

    href: str
    offset: int
    limit: int
    total: int
    items: list[DayNumbersDocument]
    first: Link
    last: Link
    next: Link | None
    prev: Link | None


class DayRunsDocument(msgspec.Struct, kw_only=True):
    """How often a variant ran on a day, and how that went."""

    day: date
    flowRef: UUID
    friendlyId: str
    variantRef: UUID
    variantName: str
    executions: int
    errors: int
    attributable: Annotated[int, Meta(description="Runs of a visit.")]
    durationMs: Annotated[int, Meta(description="Of all of them together.")]
    latencyP50: int | None
    latencyP95: int | None


class DayRunsList(msgspec.Struct, kw_only=True):
    """A page of daily runs, by flow and day."""

    href: str
    offset: int
    limit: int
    total: int
    items: list[DayRunsDocument]
    first: Link
    last: Link
    next: Link | None
    prev: Link | None
