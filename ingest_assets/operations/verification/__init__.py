"""The verification checklist: its questions (`questions`), and asking them (`engine`)."""
