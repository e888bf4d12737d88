"""Backup and restore of the state directory: one archive, consistent while the server runs (docs/backup.md)."""
