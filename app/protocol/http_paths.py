"""Where devices ask over HTTP (PROTOCOL.md 1 and 7)."""

OTA = "/xiaozhi/ota/"
WEBSOCKET = "/xiaozhi/v1/"
