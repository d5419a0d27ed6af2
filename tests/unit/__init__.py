"""What needs no vendor: functions and classes by themselves."""
