"""Messages as octets: what `email` makes of them, made fit for the wire."""
