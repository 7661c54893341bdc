// Node loads this file into Azurite's process before Azurite. The parent process holds the other end of standard input.
// When the parent closes it, or is killed and the system closes it, Azurite saves its data and ends. This works on every
// system without a signal.
"use strict";

const EXIT_DELAY_MS = 3000;

process.stdin.resume();
process.stdin.once("close", () => {
  process.emit("SIGTERM"); // runs Azurite's own handler; if Azurite has not installed it yet, the timer ends the process
  setTimeout(() => process.exit(0), EXIT_DELAY_MS).unref();
});
