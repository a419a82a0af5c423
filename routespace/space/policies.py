"""Words of the policies a space declares once."""

POLICIES = ("live", "init", "budget", "cost")
LIVE = ("by_route", "by_node", "always")
INITS = ("kaiming", "normal")
