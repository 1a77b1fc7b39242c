"""The shared language of CivicBus: values and the bytes they travel in. No I/O here."""
