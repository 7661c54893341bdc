"""The subcommands of ``python -m tools model``: one module each, with ``configure(parser)`` and ``run(args)``."""
