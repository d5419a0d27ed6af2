"""What the tap is given: settings, state and catalog."""
