"""The index of the ledger in PostgreSQL: for finding, never for proving; rebuilt from the bundles.

Needs the extra `ledger`.
"""
