"""What to ship: the specs of models and targets, and the ground every package stands on (errors, atomic files)."""
