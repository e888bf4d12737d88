"""Bytes in, bytes out: the MQTT client and the UDP server."""
