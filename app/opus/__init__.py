"""The codec side, pure but for libopus: what an Opus packet says of itself, and coding where there is no way round it."""
