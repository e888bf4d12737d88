"""The device's tools (PROTOCOL.md 8): the server is the client of the MCP server that the device's firmware holds."""
