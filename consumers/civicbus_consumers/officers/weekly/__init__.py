"""The weekly report of what officials asked of the ledger, for their supervisors."""
