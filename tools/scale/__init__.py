"""How the app scales, by a discrete-event simulation: uploads, Event Grid, queue, instances, partitions."""
