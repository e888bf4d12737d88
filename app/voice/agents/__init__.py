"""The agents, one a file."""
