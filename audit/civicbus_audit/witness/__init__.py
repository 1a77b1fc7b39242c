"""A witness (C2SP tlog-witness): cosigns a log's checkpoint if it continues the last one it saw."""
