"""Alerts: people are told of what needs them, once, and told when it is over.

`engine` compares what is wrong with what was told, `message` writes the letter, `channels` sends it.
"""
