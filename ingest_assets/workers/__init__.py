"""Processes with limits on memory and time, for untrusted files and heavy computing.

Recognition and extraction share them; nothing here knows of pages, texts or documents.
"""
