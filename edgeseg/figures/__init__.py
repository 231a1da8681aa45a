"""Pictures and pages by matplotlib."""
