"""The server: what users write (`Session`), and the shell that runs it over sockets."""
