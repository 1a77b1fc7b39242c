"""Vietnam as data: agencies, purposes, contracts and agreements, reviewed like law."""
