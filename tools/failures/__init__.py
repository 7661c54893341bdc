"""Says why storage cannot be used, in the same sentences for every command."""
