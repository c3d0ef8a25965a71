"""How fast it is: programs that measure and print, each by `python -m bench.NAME`."""
