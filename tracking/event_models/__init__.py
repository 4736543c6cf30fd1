"""
What a client's events are meant to look like, and what they do look like.

`sifting` is called by the walk before it locks anything, `seen` once it has
recorded; the admin and `manage.py event_models` call `editing`. The thinking
(`paths`, `fields`, `checking`, `observing`, `proposing`, `files`) is pure.
"""
