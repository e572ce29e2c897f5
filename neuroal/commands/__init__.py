"""The command line: one file per command. It is the outermost layer, as the page is: it drains events and shows them.

Nothing heavy is imported here before a command needs it, so that help and lists answer at once.
"""
