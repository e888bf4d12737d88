"""The one error of every decoder of the wire."""


class Malformed(ValueError):
    """Bytes from outside that break the protocol; the text says which rule, in a sentence without secrets."""
