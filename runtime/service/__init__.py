"""Running unattended: settings file, systemd, logs, metrics."""
