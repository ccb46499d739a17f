"""All code that searches a document's text for entities by rule. Runs in worker processes only.

Texts come from untrusted files, and the libraries that search them were not written for those: a text
may make one run for ever. So no module of the process that runs the pipeline imports this package; the
local engine gives its name to `workers.pool`, whose processes are limited in memory and time.
"""
