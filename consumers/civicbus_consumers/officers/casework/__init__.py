"""Cases of officers: opened, assigned, linked, noted, closed; each act is a leaf first."""
