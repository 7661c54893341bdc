"""The command ``chaos``: tests the app under storage faults, kills, overwrites and repeated events."""
