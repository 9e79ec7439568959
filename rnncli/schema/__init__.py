"""The JSON schema of what `--json` prints."""
