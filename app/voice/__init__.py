"""The conversation: listening, turn taking, playback. It knows sessions and channels, and no socket."""
