"""What is measured with: photos, networks and an emulator that holds them."""
