"""Questions a space answers about its nets, exactly and without listing them.

A net is a set of open routes. Everything asked of it is a formula over routes; the formulas are read route after
route, and what is left of them is all that has to be remembered, so that the nets of a grid are a diagram whose size
grows with its depth and not with their number.
"""
