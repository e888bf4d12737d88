"""From hello to goodbye: what a session is, how it reaches its device, and which sessions there are."""
