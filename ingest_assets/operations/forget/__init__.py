"""Forgetting documents for good.

`plan` finds out what goes and keeps the holds, `engine` removes it, `traces` masks and searches what
names a document elsewhere.
"""
