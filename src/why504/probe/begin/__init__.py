"""How `why504 run` gets into a program that does not know of us; light: every interpreter pays."""
