"""All code that searches a document's text for entities by rule. Runs in worker processes only.

Texts come from untrusted files, and a text may make a library that searches it run for ever. So the
process that runs the pipeline never imports this package: the local engine passes its name to
`workers.pool`, whose processes have limits on memory and time.
"""
