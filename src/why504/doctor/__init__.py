"""`why504 doctor`: reads the limits that are in force, wherever they are, and draws the ladder."""
