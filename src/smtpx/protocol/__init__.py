"""SMTP without I/O: the phase table, events, the extension interface, and one protocol object for each side."""
