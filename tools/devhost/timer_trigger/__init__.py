"""The timer trigger: reads schedules, and runs functions when they are due."""
