"""What is shown to people: a check, a plan, and how far a run is."""
