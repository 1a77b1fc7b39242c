"""The vault: a secret per subject, apart from the ledger and from who runs it."""
