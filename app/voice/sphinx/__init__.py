"""English speech recognition offline: pocketsphinx, in processes of its own, since it keeps the GIL while it works."""
