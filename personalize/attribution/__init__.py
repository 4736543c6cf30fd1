"""
Who saw which variant of a flow, and what they did then.

Kept up as events arrive: `settling.follow_up` hears of them. One person's part is worked out by
`personalize.goals`, purely; here is what reads it from the tables and writes it to them.
"""
