"""The demo: simulator, tap and target-postgres, with nothing to set up."""
