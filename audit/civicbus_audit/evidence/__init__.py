"""Evidence bundles: what officers take out of the ledger, provable to others without us."""
