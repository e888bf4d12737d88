"""HTTP: OTA, the devices' sockets, firmware, health and metrics, the API and the console. `application.py` puts it together."""
