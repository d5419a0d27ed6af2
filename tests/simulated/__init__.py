"""The tap in this process, against the simulator."""
