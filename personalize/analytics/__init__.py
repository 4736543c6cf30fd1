"""
What came of a flow, as marketers and servers read it: `results.of` is the front door.

Sums are read from the numbers of days, or from single guests where sums cannot tell, and judged
by `personalize.statistics`.
"""
