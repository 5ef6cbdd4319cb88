"""What the engine has said, kept for people to look back at: a store of SQL that the public topics can always fill again."""
