"""Reports for tests, of variants that go by their place."""

from collections.abc import Sequence

from personalize.statistics import GoalRule, Report, Sample, Settings, VariantData, analyse

CHECKOUT = GoalRule(ref="checkout", name="Checkout", is_primary=True)


def judged(
    *samples: Sample,
    goals: Sequence[GoalRule] = (CHECKOUT,),
    more: Sequence[dict[str, Sample]] = (),
    settings: Settings | None = None,
    guests_a_day: float = 0.0,
    mixed_share: float = 0.0,
    weights: Sequence[float] = (),
) -> Report:
    """
    Analyse variants called Control, B, C, ...: a sample of each by the goal Checkout.

    more: for each variant in the same order, its samples by other goals.
    """
    names = ["Control", "B", "C", "D"]
    return analyse(
        variants=[
            VariantData(
                ref=name.lower(),
                name=name,
                guests=sample.n,
                weight=weights[at] if weights else 1.0,
                is_control=at == 0,
                samples={"checkout": sample, **(more[at] if more else {})},
            )
            for at, (name, sample) in enumerate(zip(names, samples, strict=False))
        ],
        goals=goals,
        settings=settings,
        guests_a_day=guests_a_day,
        mixed_share=mixed_share,
    )
