"""The Airbyte source in the hands of Airbyte's own programs."""
