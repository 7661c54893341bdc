// Loaded into Azurite's process before Azurite. Our end of its standard input is the leash: when we close it, or when we
// are killed and the system closes it, Azurite writes its data down and ends. Works on every system, and needs no signal.
"use strict";

const LAST_WORDS_MS = 3000;

process.stdin.resume();
process.stdin.once("close", () => {
  process.emit("SIGTERM"); // Azurite's own handler; it may not be installed yet, hence the timer.
  setTimeout(() => process.exit(0), LAST_WORDS_MS).unref();
});
