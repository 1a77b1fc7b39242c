"""The release step: decide, record, release; one process per group of partitions."""
