"""Commands that need a broker or its configuration, a module each: ``configure(parser)`` adds the options, ``run(args)`` the work."""
