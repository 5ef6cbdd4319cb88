"""Commands that need a broker or its configuration, a module each.

``configure(parser)`` adds the options, ``run(args)`` does the work and returns the exit status.
"""
