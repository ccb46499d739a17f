"""Alerts: people are told of what needs them, once, and told when it is over.

`engine` compares what is wrong with what was told, `troubles` finds what is wrong besides documents,
`message` writes the letter, `channels` sends it.
"""
