"""Proofs over HTTP: `questions` and `answers` are pure, `published` reads, `server` listens."""
