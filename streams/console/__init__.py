"""The live page, and the processes behind it: an engine in this process, or the topics of the roles."""
