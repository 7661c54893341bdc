"""The CPUs and the memory that this process may use, and admission of decodes by memory."""
