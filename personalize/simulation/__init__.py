"""
A trial of the whole path: guests with a known true lift go through live experiments.

`manage.py simulate_experiment` calls `playing.play`: what the results say of them can be held
against what is true.
"""
