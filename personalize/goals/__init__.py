"""
What success means: goals as they are stored, and what a person's visits come to by them. Pure.

`document.read` checks a stored goal, `measuring` measures a visit or a time by it, and `folding`
makes one total for each guest, which the statistics are kept of.
"""
