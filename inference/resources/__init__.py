"""The CPUs and memory that this process may use, and admission of work by memory."""
