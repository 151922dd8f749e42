"""The stand-in of the platforms: a program of its own, with its own tables and books.

It shares no code with the shop, not even for signatures: a mistake would otherwise pass both
sides. It is faithful to the platforms' documents, not proven against the live platforms.
"""
