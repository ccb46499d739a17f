"""The verification checklist: its questions (`questions`), and asking them all (`engine`)."""
