"""Algorithms: what each can do, what it costs, and the routine it generates."""
