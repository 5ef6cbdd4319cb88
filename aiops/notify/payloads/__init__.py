"""A message -> the body that a tool expects, one module a tool: pure functions, within the limits that the tool documents."""
