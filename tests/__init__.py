"""Tests of the tap, of the simulator and of the demo."""
