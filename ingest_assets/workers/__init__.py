"""Processes for untrusted files and heavy computing, shared by recognition and extraction."""
