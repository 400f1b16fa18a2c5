"""How good are the boxes? ALPs against truth that was drawn, annotated or simulated."""
