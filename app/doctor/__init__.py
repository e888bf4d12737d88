"""``python -m app doctor``: walks the configuration and the network as a device would, and says what to change."""
