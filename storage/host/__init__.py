"""What the app knows and says of the Functions host: limits, start-up and logs."""
