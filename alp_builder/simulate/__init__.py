"""A simulated world: scenes with known truth, and a narrator who describes them."""
