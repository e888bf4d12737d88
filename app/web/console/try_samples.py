"""Makes the recordings of the page Try it anew: ``python -m app.web.console.try_samples``, with espeak-ng."""

from __future__ import annotations

import os
import subprocess

from app.web.console.assets import FOLDER
from app.web.console.try_it import SAMPLES

VOICE, WORDS_PER_MINUTE = "en-us", "150"


def main() -> None:
    """Writes every file of SAMPLES. Raises CalledProcessError or FileNotFoundError where espeak-ng does not do it."""
    for sample in SAMPLES:
        path = os.fspath(FOLDER / sample.file)
        subprocess.run(["espeak-ng", "-v", VOICE, "-s", WORDS_PER_MINUTE, "-w", path, sample.words], check=True)


if __name__ == "__main__":
    main()
