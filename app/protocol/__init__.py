"""The wire, pure: bytes in, values out. No socket, no clock, no settings."""
