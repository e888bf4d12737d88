"""A voice server for xiaozhi ESP32 devices: OTA, MQTT control, encrypted Opus over UDP, conversation."""

VERSION = "0.1.0"
"""Of the server, as pyproject.toml has it."""
