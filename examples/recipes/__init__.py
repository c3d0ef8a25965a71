r"""How the example messages are made.

Each function that carries `@committed` or `@generated` makes one message, and the message's
file is named after it. The result depends on nothing but the code: no clock, no random number
without a seed, no compressor.

The templates are written with LF and become CRLF in `octets`. In them `\x20` stands for a space
at the end of a line, and `$name` for a part that a function makes.
"""

from recipes import automatic, big, headers, international, multipart, plain, secured
from recipes.building import COMMITTED, GENERATED, Recipe

__all__ = [
    "COMMITTED",
    "GENERATED",
    "Recipe",
    "automatic",
    "big",
    "headers",
    "international",
    "multipart",
    "plain",
    "secured",
]
