"""The stages of a document, one module each, and `runner`, which takes documents through them.

A stage makes something of a document (`work`) and stores it (`save`); its queries are in its module.
"""
