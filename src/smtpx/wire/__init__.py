"""Octets of SMTP to values and back: lines, dots, replies, commands, addresses, parameters.

Nothing here waits, knows a phase or speaks to a socket. Every function raises `WireError` and nothing else; the
protocol objects turn it into the error or the reply that fits the side they play.
"""
