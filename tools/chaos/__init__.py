"""What the chaos run is made of: faults, the proxy that commits them, the feed, the victim and the checker."""
