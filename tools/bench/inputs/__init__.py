"""The inputs of benchmarks: photos, networks, and an emulator that holds both."""
