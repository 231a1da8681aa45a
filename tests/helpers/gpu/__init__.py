"""Stand-ins for GPUs and their libraries."""
