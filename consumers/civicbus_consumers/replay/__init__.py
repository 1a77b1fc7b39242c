"""Past decisions, made again: from the ledger, the sealed facts and the policy set of then."""
