"""Predictions against truth: COCO's AP and the Open Images protocol, for base and novel classes."""
