"""The benchmarks: the real server under load, on this machine alone (``make bench``; docs/performance.md)."""
