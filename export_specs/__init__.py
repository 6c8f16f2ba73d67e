"""What to ship: the specs of models and targets. ``export_specs.foundation`` is the ground that every package stands on."""
