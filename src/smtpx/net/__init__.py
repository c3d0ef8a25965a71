"""Sockets, TLS, clocks, and the two drivers of flows. I/O begins here."""
