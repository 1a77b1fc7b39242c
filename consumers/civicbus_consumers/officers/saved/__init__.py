"""Saved queries of officers: kept sealed, run like any other question; each act is a leaf first."""
