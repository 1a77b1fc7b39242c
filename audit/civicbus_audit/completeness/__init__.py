"""Proofs that an answer leaves nothing out: what index commits hold, and what follows from them."""
