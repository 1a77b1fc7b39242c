"""What every process of the bus has: settings, health, logs, traces, a watchdog."""
