"""The CivicBus ledger: seals records, proves them, verifies offline. It knows no Kafka."""
