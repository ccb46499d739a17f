"""Stops Python from looking for garbage where there is none; to be imported before all else.

What tests import stays until the session ends. Python went through it again and again while it was
imported, and then with each run of Dagster's: a fifth of all that the tests computed.
"""

from __future__ import annotations

import gc

gc.disable()


def collect_seldom() -> None:
    """Look for garbage from now on, but not in what is there already.

    A run leaves ten thousands of objects behind; by Python's default that is some dozen looks.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    gc.enable()
