"""The migrations of the vault."""
