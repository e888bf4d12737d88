"""A device in software: what the command line, the tests and the load generator talk with the server through."""
