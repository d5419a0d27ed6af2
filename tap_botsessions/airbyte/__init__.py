"""The tap as an Airbyte source, `source-botsessions`: the same reading, other messages.

Source: the Airbyte protocol, version 0.18.
"""
