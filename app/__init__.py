"""A voice server for xiaozhi ESP32 devices: OTA, MQTT control, encrypted Opus over UDP, conversation."""
