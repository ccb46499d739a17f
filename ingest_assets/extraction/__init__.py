"""From a text to its chunks and entities: engines and rules, without a database.

The stages `document_chunks` and `document_entities` store what is found here.
"""
